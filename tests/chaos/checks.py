"""After the calm: what the system holds, against the ledger and against itself."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.models.base import Base
from core.models.datasets import Dataset
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobState, Unit
from core.models.trainings import Model, Training
from core.models.uploads import Upload
from core.records.database import Database
from core.services.originality import index_keys
from core.services.sweeping import sweep
from core.services.takes import audio_key
from tests.chaos.ledger import ACCEPTED, UNKNOWN, Ledger, Request
from tests.tools.journey import FINAL_STATES

_NAMED: dict[str, Any] = {"generation": Generation, "training": Training, "dataset": Dataset}


@dataclass(slots=True)
class Findings:
    """What was found; every list that is not empty is a fault of the system."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong_bytes: list[str] = field(default_factory=list)
    not_ended: list[str] = field(default_factory=list)
    rows_without_file: list[str] = field(default_factory=list)
    files_without_row: list[str] = field(default_factory=list)
    both_attempts: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def faults(self) -> dict[str, list[str]]:
        """The lists that are not empty."""
        return {name: found for name in self.__slots__ if isinstance(found := getattr(self, name), list) and found}


@dataclass(frozen=True, slots=True)
class References:
    """What an undisturbed run made: SHA-256 by (settings, seed), and the content hash of the training's model."""

    takes: dict[tuple[str, int], str]
    model_hash: str


def check(database: Database, store: ArtifactStore, ledger: Ledger, references: References) -> Findings:
    """Compare everything with everything."""
    findings = Findings()
    with database.reading() as session:
        for request in ledger:
            _check_request(session, store, request, references, findings)
        _check_jobs(session, findings)
        _check_takes(session, store, findings)
        _check_attempts(session, findings)
    _check_files(database, store, findings)
    return findings


def _check_request(
    session: Session, store: ArtifactStore, request: Request, references: References, findings: Findings
) -> None:
    findings.counts[f"{request.kind}: {request.told}"] += 1
    if request.kind == "audio":
        _check_audio(session, store, request, findings)
        return
    table = _NAMED[request.kind]
    rows = list(session.scalars(select(table).where(table.name == request.label)))
    if len(rows) > 1:
        findings.doubled.append(f"{request.label}: {len(rows)} rows")
    if request.told == ACCEPTED and [row.id for row in rows] != [request.subject_id]:
        findings.lost.append(f"{request.label}: accepted as {request.subject_id}, found {[row.id for row in rows]}")
    for row in rows:
        job = session.get(Job, row.job_id) if row.job_id is not None else None
        if job is None:
            findings.lost.append(f"{request.label}: its job is gone")
        elif job.state is JobState.CANCELLED and request.ending == "cancel":
            findings.counts[f"{request.kind}: cancelled as asked"] += 1
        elif job.state is not JobState.SUCCEEDED:
            findings.not_ended.append(f"{request.label}: job {job.id} is {job.state.value} ({job.error})")
        else:
            findings.counts[f"{request.kind}: succeeded"] += 1
            _check_result(session, request, row, references, findings)
        if request.kind == "generation":
            _check_music(session, request, row, references, findings)


def _check_result(session: Session, request: Request, row: Any, references: References, findings: Findings) -> None:
    if request.kind == "generation" and row.takes_done != row.takes_total:
        findings.lost.append(f"{request.label}: {row.takes_done} of {row.takes_total} takes")
    if request.kind == "dataset" and not (row.ready and row.pieces_count):
        findings.lost.append(f"{request.label}: not ready, {row.pieces_count} pieces")
    if request.kind == "training":
        models = list(session.scalars(select(Model).where(Model.name == request.label)))
        if len(models) != 1 or models[0].id != row.model_id:
            findings.doubled.append(f"{request.label}: {len(models)} models")
        if any(model.content_hash != references.model_hash for model in models):
            findings.wrong_bytes.append(f"{request.label}: another model than an undisturbed training makes")


def _check_music(session: Session, request: Request, row: Generation, references: References, found: Findings) -> None:
    settings = {name: value for name, value in request.values["settings"].items() if name != "seeds"}
    first, last = map(int, request.values["settings"]["seeds"].split("-"))
    takes = session.execute(
        select(Take.index, Take.seed, Take.sha256).where(Take.generation_id == row.id).order_by(Take.index)
    ).all()
    found.counts["takes"] += len(takes)
    if len(takes) != row.takes_done or row.takes_total != last - first + 1:
        found.doubled.append(f"{request.label}: {len(takes)} rows, counted as {row.takes_done} of {row.takes_total}")
    for index, seed, digest in takes:
        if seed != first + index:
            found.wrong_bytes.append(f"{request.label}: take {index} has the seed {seed}")
        if references.takes[settings_key(settings), seed] != digest:
            found.wrong_bytes.append(f"{request.label}: seed {seed} differs from a calm run")


def _check_audio(session: Session, store: ArtifactStore, request: Request, findings: Findings) -> None:
    job = session.get(Job, request.job_id) if request.job_id else None
    if request.told == UNKNOWN or not request.job_id:
        return
    if job is None or job.state not in FINAL_STATES:
        findings.not_ended.append(f"{request.label}: job {request.job_id} is {job.state.value if job else 'gone'}")
    elif job.state is JobState.SUCCEEDED:
        take = session.get_one(Take, int(request.values["path"].split("/")[2]))
        if not store.exists(audio_key(take, request.values["format"])):
            findings.rows_without_file.append(f"{request.label}: its audio is not there")
        findings.counts["audio: succeeded"] += 1
    else:
        findings.not_ended.append(f"{request.label}: job {job.id} is {job.state.value} ({job.error})")


def _check_jobs(session: Session, findings: Findings) -> None:
    """Jobs that nobody in the ledger asked for count too: all have ended, each for its own reason."""
    for state, count in session.execute(select(Job.state, func.count()).group_by(Job.state)):
        findings.counts[f"jobs {state.value}"] = count
        if state not in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}:
            findings.not_ended.append(f"{count} jobs are {state.value}")
    for job in session.scalars(select(Job).where(Job.state == JobState.FAILED)):
        # A worker's death from outside is no reason of the job's own; a full disk is.
        findings.counts[f"failed for: {reason_of(job.error)}"] += 1
        if reason_of(job.error) == "another reason":
            findings.other.append(f"job {job.id} ({job.title}): {job.error}")


def reason_of(error: str) -> str:
    """A job's own reason to fail, in a few words."""
    for words, reason in {"space": "a full disk", "cannot be stored": "a full disk"}.items():
        if words in error:
            return reason
    return "another reason"


def _check_takes(session: Session, store: ArtifactStore, findings: Findings) -> None:
    for key, size, digest in session.execute(select(Take.midi_key, Take.midi_bytes, Take.sha256)):
        if store.exists(key):
            data = store.read(key)
            if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
                findings.wrong_bytes.append(f"{key}: the file is not what its row says")


def _check_attempts(session: Session, findings: Findings) -> None:
    """Takes of two attempts at one unit never interleave: the earlier one kept nothing once the later had begun."""
    made: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for key, at in session.execute(select(Take.midi_key, Take.created_at)):
        unit, attempt = key.rpartition("/")[2].removesuffix(".mid").split("-")[1:]
        made[unit].append((at, int(attempt)))
    last = {row.id: row.attempt for row in session.execute(select(Unit.id, Unit.attempt))}
    for unit, takes in made.items():
        attempts = [attempt for _at, attempt in sorted(takes)]
        findings.counts["units with takes"] += 1
        findings.counts["units with takes of several attempts"] += len(set(attempts)) > 1
        if attempts != sorted(attempts) or max(attempts) > last.get(int(unit), max(attempts)):
            findings.both_attempts.append(f"unit {unit}: {attempts}")


def _check_files(database: Database, store: ArtifactStore, findings: Findings) -> None:
    needed, allowed = _keys(database)
    files = _files(store)
    findings.rows_without_file += sorted(needed - files)
    findings.counts["files"], findings.counts["rows that name a file"] = len(files), len(needed)
    findings.counts["files without a row, before the sweep"] = len(files - needed - allowed)
    # What a death left that no job's end tidies waits for the daily sweep, which comes now.
    sweep(database, store, timedelta(0))
    findings.files_without_row += sorted(_files(store) - needed - allowed)
    findings.rows_without_file += sorted(needed - _files(store))


def _files(store: ArtifactStore) -> set[str]:
    root = store.local_path("x")
    assert root is not None
    return {str(path.relative_to(root.parent)) for path in root.parent.rglob("*") if path.is_file()}


def _keys(database: Database) -> tuple[set[str], set[str]]:
    """Keys that rows name, and keys that may be there: made of takes and datasets, and uploads without an end."""
    with database.reading() as session:
        columns = [c for table in Base.metadata.tables.values() for c in table.columns if c.name.endswith("_key")]
        needed = {key for column in columns for key in session.scalars(select(column)) if key}
        digests = session.scalars(select(Take.sha256)).all()
        corpora = session.scalars(select(Dataset.corpus_key)).all()
        parts = {0, *(model.settings.get("files", 0) for model in session.scalars(select(Model)))}
        uploads = session.execute(select(Upload.key, Upload.sha256)).all()
    needed |= {key for key, digest in uploads if digest}
    allowed = {f"audio/{digest[:2]}/{digest}.{extension}" for digest in digests for extension in ("wav", "mp3")}
    allowed |= {key for corpus in corpora for part in parts for key in index_keys(corpus, part)}
    return needed, allowed | {key for key, _digest in uploads}


def settings_key(settings: dict[str, Any]) -> str:
    """A kind of request: its settings without the seeds."""
    return repr(sorted(settings.items()))
