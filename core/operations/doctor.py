"""Examining an installation: every part that it needs, what was found, and what to do about it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

import core
from core.errors import CadenzaError
from core.machine import find_gpus
from core.models.generations import Take
from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.operations.examinations import examine_broker, examine_database, examine_mail, examine_store
from core.queue.waiting import oldest_waiting_seconds, queue_counts
from core.records.database import Database
from core.records.schema import current, newest
from core.settings import Settings

Level = Literal["ok", "warning", "problem"]
_LITTLE_DISK_BYTES = 5 * 2**30
_NO_DISK_BYTES = 512 * 2**20
_LONG_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one examination found, in a sentence, and what a person can do about it (empty when nothing is needed)."""

    about: str
    level: Level
    found: str
    mend: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Examine everything that this machine can see of the installation; takes a few seconds, changes nothing."""
    database = Database(settings.resolved_database_url)
    findings: list[Finding] = []
    try:
        findings += [*_program(), *_data_folder(settings), *_secret_key(settings)]
        findings += [Finding(*each) for each in examine_database(database)]
        findings += [Finding(*each) for each in examine_broker(settings)]
        findings += [Finding(*each) for each in examine_store(settings)]
        findings += [Finding(*each) for each in examine_mail(settings)]
        findings += _devices(settings)
        if all(finding.level != "problem" for finding in findings if finding.about in {"database", "tables"}):
            findings += _records(database)
    finally:
        database.dispose()
    return findings


def _program() -> list[Finding]:
    told = f"Cadenza {core.__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return [Finding("program", "problem", told, "Install it with Python 3.11, 3.12 or 3.13.")]
    return [Finding("program", "ok", told)]


def _data_folder(settings: Settings) -> list[Finding]:
    folder = settings.data_dir.absolute()
    if not folder.is_dir():
        return [Finding("data folder", "warning", f"{folder} does not exist yet.", "'cadenza up' makes it.")]
    probe = folder / ".doctor"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return [
            Finding("data folder", "problem", f"{folder} cannot be written: {error}.", "Check its owner and rights.")
        ]
    free = shutil.disk_usage(folder).free
    told = f"{folder}, {free / 2**30:,.1f} GiB free"
    if free < _NO_DISK_BYTES:
        return [Finding("data folder", "problem", told, "Free some space: jobs will fail for lack of it.")]
    if free < _LITTLE_DISK_BYTES:
        return [Finding("data folder", "warning", told, "Free some space, or let retention delete what nobody kept.")]
    return [Finding("data folder", "ok", told)]


def _secret_key(settings: Settings) -> list[Finding]:
    key = settings.data_dir / "secret_key"
    if key.exists() and key.stat().st_mode & 0o077:
        mend = f"Run: chmod 600 {key}"
        return [Finding("secret key", "problem", f"{key} can be read by others on this machine.", mend)]
    return []


def _devices(settings: Settings) -> list[Finding]:
    if find_spec("keras") is None:
        told = "TensorFlow is not installed here: this machine can serve pages and the queue 'light' only."
        return [
            Finding("devices", "warning", told, "For a worker that trains: install requirements/cpu.txt or gpu.txt.")
        ]
    gpus = find_gpus()
    if gpus:
        names = ", ".join(f"{gpu.index}: {gpu.name}" for gpu in gpus)
        if len(gpus) == 1:
            return [Finding("devices", "ok", f"1 GPU ({names})")]
        trainings = "one at a time on all of them" if settings.training_gpus == "together" else "one on each"
        return [Finding("devices", "ok", f"{len(gpus)} GPUs ({names}); `cadenza up` runs trainings {trainings}")]
    if shutil.which("nvidia-smi") is not None:
        told = "There is an NVIDIA driver, but its GPUs are not seen by Cadenza."
        return [
            Finding("devices", "warning", told, "Install requirements/gpu.txt (nvidia-ml-py and CUDA for TensorFlow).")
        ]
    return [Finding("devices", "ok", "no GPU; workers use the processor")]


def _records(database: Database) -> list[Finding]:
    """What the tables say about the running system."""
    try:
        if current(database) != newest():
            return []
        with database.reading() as session:
            workers = list(session.scalars(select(Worker).where(Worker.state != WorkerState.GONE)))
            counts, oldest = queue_counts(session), oldest_waiting_seconds(session)
            takes = session.scalar(select(func.max(Take.id))) or 0
    except (SQLAlchemyError, CadenzaError) as error:
        return [
            Finding("tables", "problem", f"The rows cannot be read: {error}", "Restore a backup: 'cadenza restore'.")
        ]
    findings = [*_versions(workers), *_problems(workers)]
    for queue in Queue:
        waiting, serving = counts[queue].waiting, counts[queue].workers
        told = f"{waiting:,} waiting, {counts[queue].running:,} running, {serving} worker{'' if serving == 1 else 's'}"
        age = oldest.get(queue, 0.0)
        if waiting and not serving:
            mend = f"Start one: 'cadenza worker --queue {queue.value}'."
            findings.append(Finding(f"queue {queue.value}", "problem", f"{told}: nobody will run them", mend))
        elif waiting and age > _LONG_SECONDS and not counts[queue].running:
            mend = "Look whether the maintenance process runs, and into the workers' logs."
            findings.append(Finding(f"queue {queue.value}", "problem", f"{told}; the oldest for {age:,.0f} s", mend))
        elif not serving:
            mend = "'cadenza up' starts one of each."
            findings.append(Finding(f"queue {queue.value}", "warning", told, mend))
        else:
            findings.append(Finding(f"queue {queue.value}", "ok", told))
    findings.append(Finding("takes", "ok", f"{takes:,} made so far"))
    return findings


def _versions(workers: list[Worker]) -> Iterator[Finding]:
    others = sorted({f"{each.name} ({each.version})" for each in workers if each.version != core.__version__})
    if others:
        told = f"These workers are of another version than this program ({core.__version__}): {', '.join(others)}."
        yield Finding(
            "versions", "problem", told, "Install the same version on every host, and start the workers again."
        )


def _problems(workers: list[Worker]) -> Iterator[Finding]:
    for each in workers:
        if each.problem and each.state is WorkerState.STARTING:
            mend = "Mend that, and start it again; it looks by itself every half minute."
            yield Finding("workers", "problem", f"{each.name} serves nothing. {each.problem}", mend)
