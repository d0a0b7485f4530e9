"""What a process can tell of the machine that it runs on: its GPUs, its load, its memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict


class MachineFigures(TypedDict, total=False):
    """What a worker measures now and then; what it cannot know is left out.

    `load` is the number of processes that want to run per core (1 is busy), sizes are in bytes, temperature in degrees
    Celsius, utilisation in percent. GPU figures are those of the GPU that the worker is pinned to.
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
        visible_devices: `CUDA_VISIBLE_DEVICES` of the worker; its first device is measured. None: the environment's.
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
    first = "0" if visible_devices is None else visible_devices.partition(",")[0].strip()
    if first in {"", "-1"}:
        return figures
    # Whatever the driver does not know, or is too old to tell, is left out.
    with suppress(Exception), _driver() as nvml:
        by_index = first.isdigit()
        handle = nvml.nvmlDeviceGetHandleByIndex(int(first)) if by_index else nvml.nvmlDeviceGetHandleByUUID(first)
        figures["gpu_name"] = _text(nvml.nvmlDeviceGetName(handle))
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        figures["gpu_memory_used_bytes"], figures["gpu_memory_total_bytes"] = int(memory.used), int(memory.total)
        figures["gpu_utilisation_percent"] = int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        figures["gpu_temperature_celsius"] = int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
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
