"""A database as it is after years: rows are written once and multiplied by the database itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.models.base import utc_now
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobKind, JobState, Queue, Unit, UnitState
from core.models.tables import Base
from core.records.database import Database

TAKES_OF_LARGEST = 10_000
"""Takes of the first generation."""
_TAKES_OF_OTHERS = 1_000
_SETTINGS = {"seeds": "0-9999", "length": 500, "program": 0}
# One in a hundred failed, one in a thousand waits; the others have succeeded.
_STATE = "CASE WHEN n % 1000 = 7 THEN 'queued' WHEN n % 100 = 3 THEN 'failed' ELSE 'succeeded' END"


def fill(database: Database, jobs: int = 100_000, generations: int = 991) -> int:
    """Make jobs with a unit each, and generations of 1,000 takes, the first of 10,000; how many takes there are."""
    with database.transaction() as session:
        moment = utc_now() - timedelta(days=30)
        session.add(
            Job(
                kind=JobKind.GENERATION, queue=Queue.GENERATION, title="Compose", owner="local", request={},
                state=JobState.SUCCEEDED, created_at=moment, started_at=moment, finished_at=moment,
                progress_done=1.0, progress_total=1.0, progress_unit="takes",
            )
        )  # fmt: skip
        session.flush()
        session.add(Unit(job_id=1, queue=Queue.GENERATION, owner="local", state=UnitState.DONE))
        session.add(
            Generation(
                job_id=1, model_name="Starter", model_hash="0" * 64, name="Compose", settings=_SETTINGS,
                takes_total=TAKES_OF_LARGEST, takes_done=TAKES_OF_LARGEST, created_at=moment,
            )
        )  # fmt: skip
        session.flush()
        session.add(
            Take(
                generation_id=1, index=0, seed=0, temperature=1.0, midi_key="takes/0.mid", midi_bytes=4000,
                sha256="0" * 64, notes_count=500, seconds=60.0, notes_per_second=8.3, pitch_class_entropy=3.1,
                polyphony=2.4, measures={},
            )
        )  # fmt: skip
        session.flush()
        _multiply(session, "job", jobs - 1, title="'Compose ' || n", state=_STATE)
        # As long as a job is open, so is its unit.
        state = "CASE WHEN n % 1000 = 7 THEN 'waiting' WHEN n % 100 = 3 THEN 'failed' ELSE 'done' END"
        _multiply(session, "unit", jobs - 1, job_id="n + 1", state=state)
        _multiply(
            session, "generation", generations - 1,
            job_id="n + 1", name="'Compose ' || n", takes_total=str(_TAKES_OF_OTHERS), takes_done=str(_TAKES_OF_OTHERS),
        )  # fmt: skip
        varied = {
            "seed": "n", "midi_key": "'takes/' || n || '.mid'", "notes_count": "400 + (n * 7919) % 200",
            "seconds": "40.0 + (n * 104729) % 400 / 10.0", "pitch_class_entropy": "2.0 + (n * 1299709) % 1500 / 1000.0",
            "polyphony": "1.0 + (n * 15485863) % 300 / 100.0", "starred": "n % 50 = 1",
            "defect": "CASE WHEN n % 97 = 1 THEN 'stuck' ELSE '' END",
        }  # fmt: skip
        _multiply(session, "take", TAKES_OF_LARGEST - 1, index="n", **varied)
        others = (generations - 1) * _TAKES_OF_OTHERS
        place = {"generation_id": f"2 + (n - 1) / {_TAKES_OF_OTHERS}", "index": f"(n - 1) % {_TAKES_OF_OTHERS}"}
        _multiply(session, "take", others, **place, **varied)
    return TAKES_OF_LARGEST + others


def _multiply(session: Session, table: str, count: int, **varied: str) -> None:
    """Copy the row of id 1 `count` times; `varied` are SQL expressions of n, which counts from 1."""
    columns = [column.name for column in Base.metadata.tables[table].columns if column.name != "id"]
    values = ", ".join(varied.get(name, f'copied."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    parameters: dict[str, Any] = {"count": count}
    session.execute(
        text(
            "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :count) "
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS copied, series WHERE copied.id = 1"
        ),
        parameters,
    )
