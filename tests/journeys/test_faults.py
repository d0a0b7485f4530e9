"""Parts are killed while they work: nothing is lost, nothing is doubled, and the music is the same."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.tools.journey import Api, until
from webui.launcher.system import System

pytestmark = pytest.mark.slow

# Three units of up to 24 takes each, long enough to be hit in the middle.
_SEEDS, _TAKES, _NOTES = "0-63", 64, 2_000
_PICKED_UP_SECONDS = 30.0


def test_a_generation_whose_worker_is_killed_twice(system: System, api: Api, model: dict[str, Any]):
    hurt = api.generate(model["id"], _SEEDS, length=_NOTES)
    kept = kill_and_wait(api, hurt["job"], "generation", lambda: takes_done(api, hurt))
    parent = system.status()["worker-generation"].pid
    more = kill_and_wait(api, hurt["job"], "generation", lambda: max(takes_done(api, hurt) - kept, 0), parent)
    assert 0 < kept < kept + more < _TAKES, "the kills came too late: ask for more takes"
    api.succeeded(hurt["job"]["id"])

    calm = api.generate(model["id"], _SEEDS, length=_NOTES)
    api.succeeded(calm["job"]["id"])
    digests = api.digests(hurt["id"])
    assert sorted(digests) == list(range(_TAKES))
    assert digests == api.digests(calm["id"])
    assert takes_done(api, hurt) == _TAKES
    with zip_file(api, hurt) as ours, zip_file(api, calm) as theirs:
        assert len(ours.namelist()) == len(set(ours.namelist())) == _TAKES + 1
        assert {name: ours.read(name) for name in ours.namelist()} == {n: theirs.read(n) for n in theirs.namelist()}
        for take in api.items(f"/generations/{hurt['id']}/takes"):
            assert hashlib.sha256(ours.read(take["file_name"])).hexdigest() == take["sha256"]


def test_a_training_whose_worker_is_killed(api: Api, model: dict[str, Any], train_again: Any, check_same_model: Any):
    hurt = train_again("Killed half way")
    kill_and_wait(api, hurt["job"], "training", lambda: int(api.get(f"/trainings/{hurt['id']}")["resume_step"]))
    api.succeeded(hurt["job"]["id"])
    lines = [line["message"] for line in api.get(f"/jobs/{hurt['job']['id']}/log")["items"]]
    assert "The training goes on from its resume point." in lines
    check_same_model(hurt, model)
    steps = [point["step"] for point in api.get(f"/trainings/{hurt['id']}/points")["items"]]
    assert steps == sorted(set(steps))


def test_valkey_is_killed_while_much_is_queued(
    system: System, api: Api, model: dict[str, Any], generation: dict[str, Any]
):
    take = api.items(f"/generations/{generation['id']}/takes")[0]["id"]
    first = api.generate(model["id"], "0-23", length=_NOTES)
    queued = [api.generate(model["id"], "0-7", length=100) for _ in range(3)]
    broker = system.status()["valkey"].pid
    os.kill(broker, signal.SIGKILL)
    late = api.generate(model["id"], "0-7", length=100)
    audio = api.send("POST", f"/takes/{take}/audio", {"format": "mp3"})
    for made in (first, *queued, late):
        api.succeeded(made["job"]["id"])
    api.succeeded(audio["job"]["id"])
    assert system.status()["valkey"].pid not in {0, broker}
    assert len(api.digests(first["id"])) == 24
    for made in (*queued, late):
        assert api.digests(made["id"]) == api.digests(generation["id"])


def kill_and_wait(
    api: Api, job: dict[str, Any], worker: str, progress: Callable[[], int], process: int | None = None
) -> int:
    """Kill a worker's child, or its parent `process`, once a job has made progress; another attempt takes it up soon.

    The child works for a moment at a time and is held still while the test looks, so that no machine is too fast for
    it. One whose parent is gone lives on for a moment: it gives its unit back or, at the very end of it, finishes it.

    Returns:
        The progress at which it was killed.
    """
    child = child_of(api, worker)

    def held() -> tuple[dict[str, Any], int] | None:
        os.kill(child, signal.SIGSTOP)
        running = [unit for unit in units(api, job) if unit["state"] == "running"]
        if running and (made := progress()):
            return running[0], made
        os.kill(child, signal.SIGCONT)
        return None

    before, made = until(held, 120, "progress in a running unit")
    os.kill(process or child, signal.SIGKILL)
    killed_at = time.monotonic()
    if process:
        os.kill(child, signal.SIGCONT)

    def again() -> bool:
        unit = next(unit for unit in units(api, job) if unit["id"] == before["id"])
        taken_up = unit["state"] == "running" and unit["attempt"] > before["attempt"]
        return bool(taken_up or unit["state"] == "done")

    until(again, 60, "the unit's next attempt")
    waited = time.monotonic() - killed_at
    print(f"{job['kind']}: picked up {waited:.1f} s after process {process or child} was killed")
    assert waited <= _PICKED_UP_SECONDS
    return made


def units(api: Api, job: dict[str, Any]) -> list[dict[str, Any]]:
    """A job's units."""
    found: list[dict[str, Any]] = api.get(f"/jobs/{job['id']}")["units"]
    return found


def child_of(api: Api, worker: str) -> int:
    """The process that runs a worker's units."""
    return int(next(each for each in api.get("/workers")["items"] if each["name"] == worker)["pid"])


def takes_done(api: Api, generation: dict[str, Any]) -> int:
    """How many takes there are."""
    return int(api.get(f"/generations/{generation['id']}")["takes_done"])


def zip_file(api: Api, generation: dict[str, Any]) -> zipfile.ZipFile:
    """The zip of a generation."""
    return zipfile.ZipFile(io.BytesIO(api.file(f"/generations/{generation['id']}/takes.zip")))
