"""What a process can tell of the machine that it runs on: its GPUs, its load, its memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, TypedDict


class MachineFigures(TypedDict, total=False):
    """What a worker measures now and then; what it cannot know is left out.

    `load` is the number of processes that want to run per core (1 is busy), sizes are in bytes, temperature in degrees
    Celsius, utilisation in percent. GPU figures are those of the GPU that the worker is pinned to; of several, memory
    is their sum, the temperature that of the hottest, utilisation their mean.
    """

    load: float
    cores: int
    memory_used_bytes: int
    memory_total_bytes: int
    process_bytes: int
    gpu_name: str
    gpu_memory_used_bytes: int
    gpu_memory_total_bytes: int
    gpu_temperature_celsius: int
    gpu_utilisation_percent: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU: its place in the driver's order, the id that never changes, its name."""

    index: int
    uuid: str
    name: str


def find_gpus() -> list[Gpu]:
    """The NVIDIA GPUs of this machine in the driver's order; empty without a driver or without nvidia-ml-py."""
    with suppress(Exception), _driver() as nvml:
        handles = (nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount()))
        return [
            Gpu(index, _text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle)))
            for index, handle in enumerate(handles)
        ]
    return []


def measure_machine(visible_devices: str | None = None) -> MachineFigures:
    """Measure now; takes a few milliseconds.

    Args:
        visible_devices: `CUDA_VISIBLE_DEVICES` of the worker; its devices are measured. None: the environment's,
            and without one the first device.
    """
    figures = MachineFigures()
    with suppress(OSError):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        figures["cores"] = cores
        figures["load"] = round(os.getloadavg()[0] / cores, 2)
    with suppress(OSError, KeyError, ValueError):
        memory = dict(_fields(Path("/proc/meminfo").read_text()))
        figures["memory_total_bytes"] = memory["MemTotal"]
        figures["memory_used_bytes"] = memory["MemTotal"] - memory["MemAvailable"]
        figures["process_bytes"] = dict(_fields(Path("/proc/self/status").read_text()))["VmRSS"]
    figures.update(_gpu_figures(os.environ.get("CUDA_VISIBLE_DEVICES") if visible_devices is None else visible_devices))
    return figures


def _gpu_figures(visible_devices: str | None) -> MachineFigures:
    figures = MachineFigures()
    named = "0" if visible_devices is None else visible_devices
    # As CUDA reads it: what follows a number below 0 is not seen.
    devices = list(takewhile(lambda device: device not in {"", "-1"}, (word.strip() for word in named.split(","))))
    if not devices:
        return figures
    # Whatever the driver does not know, or is too old to tell, is left out.
    with suppress(Exception), _driver() as nvml:
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(int(device)) if device.isdigit() else nvml.nvmlDeviceGetHandleByUUID(device)
            for device in devices
        ]
        counts = Counter(_text(nvml.nvmlDeviceGetName(handle)) for handle in handles)
        figures["gpu_name"] = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counts.items())
        memory = [nvml.nvmlDeviceGetMemoryInfo(handle) for handle in handles]
        figures["gpu_memory_used_bytes"] = sum(int(each.used) for each in memory)
        figures["gpu_memory_total_bytes"] = sum(int(each.total) for each in memory)
        rates = [int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu) for handle in handles]
        figures["gpu_utilisation_percent"] = round(sum(rates) / len(rates))
        sensor = nvml.NVML_TEMPERATURE_GPU
        figures["gpu_temperature_celsius"] = max(int(nvml.nvmlDeviceGetTemperature(each, sensor)) for each in handles)
    return figures


@contextmanager
def _driver() -> Iterator[Any]:
    """The driver's library, opened; any trouble is an exception of its own kind."""
    import pynvml

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _fields(text: str) -> Iterator[tuple[str, int]]:
    """The lines `Name:  123 kB` of a file of /proc, in bytes."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            yield name, int(value.removesuffix(" kB")) * 1024


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
