"""One worker a GPU, or one for all: pinned, started again, ended together."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from core import machine
from core.errors import CadenzaError
from core.machine import Gpu, find_gpus, measure_machine
from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.settings import Settings
from webui.launcher import parts
from worker import gpus
from worker.__main__ import main
from worker.gpus import chosen_gpus, together
from worker.warm_up import warm_up


def test_what_a_choice_of_gpus_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "find_gpus", lambda: [Gpu(0, "GPU-aa", "H200"), Gpu(1, "GPU-bb", "H200")])
    assert chosen_gpus("auto") == [("gpu0", "GPU-aa"), ("gpu1", "GPU-bb")]
    assert chosen_gpus("0, 2") == [("gpu0", "0"), ("gpu2", "2")]
    for choice in ("", "all", "0,0", "-1", "0,x"):
        with pytest.raises(CadenzaError, match="--gpus"):
            chosen_gpus(choice)
    monkeypatch.setattr(gpus, "find_gpus", list)
    with pytest.raises(CadenzaError, match="no NVIDIA GPU"):
        chosen_gpus("auto")


def test_a_machine_of_several_gpus_gets_a_pair_of_workers_on_each(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "find_gpus", lambda: [Gpu(0, "GPU-aa", "H200"), Gpu(1, "GPU-bb", "H200")])
    monkeypatch.setattr(parts, "find_spec", lambda _: True)
    made = {part.worker: part.command[-2:] for part in parts.parts_of(settings) if part.worker}
    assert made == {
        "training-gpu0": ["--gpu", "GPU-aa"],
        "training-gpu1": ["--gpu", "GPU-bb"],
        "generation-gpu0": ["--gpu", "GPU-aa"],
        "generation-gpu1": ["--gpu", "GPU-bb"],
        "light": ["--name", "light"],
    }


def test_one_worker_trains_on_all_gpus_where_that_is_chosen(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings.model_copy(update={"training_gpus": "together"})
    monkeypatch.setattr(parts, "find_spec", lambda _: True)
    monkeypatch.setattr(parts, "find_gpus", lambda: [Gpu(0, "GPU-aa", "H200"), Gpu(1, "GPU-bb", "H200")])
    assert {part.worker: part.command[-2:] for part in parts.parts_of(chosen) if part.worker} == {
        "training-gpus": ["--gpu", "GPU-aa,GPU-bb"],
        "generation-gpu0": ["--gpu", "GPU-aa"],
        "generation-gpu1": ["--gpu", "GPU-bb"],
        "light": ["--name", "light"],
    }
    for gpus_here in ([], [Gpu(0, "GPU-aa", "H200")]):
        monkeypatch.setattr(parts, "find_gpus", lambda found=gpus_here: found)
        names = [part.worker for part in parts.parts_of(chosen) if part.worker]
        assert sorted(names) == ["generation", "light", "training"]


def test_a_worker_for_all_gpus_serves_trainings_only(capsys: pytest.CaptureFixture[str]) -> None:
    both = [("gpu0", "GPU-aa"), ("gpu2", "2")]
    assert together(both, [Queue.TRAINING]) == [("gpus", "GPU-aa,2")]
    with pytest.raises(CadenzaError, match="queue generation"):
        together(both, [Queue.TRAINING, Queue.GENERATION])
    assert main(["--queue", "light", "--gpus", "0,1", "--together"]) == 2
    assert "only trainings use several GPUs" in capsys.readouterr().err
    assert main(["--queue", "training", "--together"]) == 2
    assert "--together needs --gpus" in capsys.readouterr().err


def test_a_worker_says_how_many_gpus_its_trainings_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.modeling.devices.device_kind", lambda: "gpu")
    for count, told in ((1, "gpu"), (2, "2 gpus")):
        monkeypatch.setattr("core.modeling.devices.gpu_count", lambda count=count: count)
        assert warm_up([Queue.TRAINING]) == told
    assert warm_up([Queue.LIGHT]) == "CPU"


def test_what_a_machine_without_gpus_tells() -> None:
    if find_gpus():
        pytest.skip("this machine has GPUs; what one without tells was not looked at")
    figures = measure_machine()
    assert figures["cores"] >= 1
    assert figures["load"] >= 0
    assert 0 < figures["memory_used_bytes"] < figures["memory_total_bytes"]
    assert 10 * 2**20 < figures["process_bytes"] < figures["memory_total_bytes"]
    assert not [name for name in figures if name.startswith("gpu")]


def test_a_driver_is_asked_for_the_gpu_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls are those of NVIDIA's library; what it answers is made up here."""
    import types

    asked: list[object] = []
    made_up = types.SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        NVML_TEMPERATURE_GPU=0,
        nvmlDeviceGetHandleByUUID=lambda uuid: asked.append(uuid) or "handle",
        nvmlDeviceGetHandleByIndex=lambda index: asked.append(index) or "handle",
        nvmlDeviceGetName=lambda handle: b"NVIDIA H200",
        nvmlDeviceGetMemoryInfo=lambda handle: types.SimpleNamespace(used=3, total=9),
        nvmlDeviceGetUtilizationRates=lambda handle: types.SimpleNamespace(gpu=40),
        nvmlDeviceGetTemperature=lambda handle, which: 61,
    )
    monkeypatch.setitem(__import__("sys").modules, "pynvml", made_up)
    figures = machine.measure_machine("GPU-bb")
    assert asked == ["GPU-bb"]
    assert (figures["gpu_name"], figures["gpu_memory_used_bytes"], figures["gpu_memory_total_bytes"]) == (
        "NVIDIA H200",
        3,
        9,
    )
    assert (figures["gpu_temperature_celsius"], figures["gpu_utilisation_percent"]) == (61, 40)
    both = machine.measure_machine("2, 3,-1,4")
    assert asked[1:] == [2, 3], "what follows a number below 0 is not seen"
    assert (both["gpu_name"], both["gpu_memory_used_bytes"], both["gpu_memory_total_bytes"]) == (
        "2 × NVIDIA H200",
        6,
        18,
    )
    assert (both["gpu_temperature_celsius"], both["gpu_utilisation_percent"]) == (61, 40)
    machine.measure_machine("-1")
    assert len(asked) == 3


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_worker_of_two_gpus_sees_both(database, start, until) -> None:
    parent = start("together", "w")

    def row() -> Worker | None:
        with database.reading() as session:
            return session.scalar(select(Worker).where(Worker.state == WorkerState.READY))

    until(lambda: row() is not None)
    assert row().name == "w-gpus"
    assert psutil.Process(row().pid).environ()["CUDA_VISIBLE_DEVICES"] == "0,5"
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(60) == 0


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_workers_of_two_gpus(database, environment, start, until, submit, lines, job_of) -> None:
    parent = start("workers", "w")

    def rows() -> dict[str, Worker]:
        with database.reading() as session:
            return {row.name: row for row in session.scalars(select(Worker))}

    def ready() -> bool:
        return {name: row.state for name, row in rows().items()} == dict.fromkeys(
            ("w-gpu0", "w-gpu5"), WorkerState.READY
        )

    until(ready)
    pids = {name: row.pid for name, row in rows().items()}
    for name, pid in pids.items():
        assert psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"] == name[-1]
    until(lambda: all(row.figures.get("cores") for row in rows().values()))
    job = submit(units=2)
    until(lambda: job_of(job).state.is_final)

    killed = psutil.Process(pids["w-gpu5"]).parent()
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: rows()["w-gpu5"].pid != pids["w-gpu5"] and ready())
    left = [row.pid for row in rows().values()]
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(60) == 0
    until(lambda: not [pid for pid in left if Path(f"/proc/{pid}").exists()])
    assert {row.state for row in rows().values()} == {WorkerState.GONE}
