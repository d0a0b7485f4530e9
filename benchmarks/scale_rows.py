"""Fills a PostgreSQL database with owners' work and old takes, and says what tables and indexes weigh."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.orm import Session

from core.models.base import Base
from core.models.jobs import JobKind, Queue
from core.queue.enqueue import enqueue
from core.records.database import Database

TAKES_PER_GENERATION = 1_000
_BATCH = 250_000
# What a column holds of the takes made here; all others get their usual defaults.
_TAKE: dict[str, str] = {
    "generation_id": "g.id",
    "index": "n % 1000",
    "seed": "n",
    "temperature": "1.0",
    "midi_key": "'generations/' || g.id || '/takes/' || lpad((n % 1000)::text, 6, '0') || '-' || n || '-1.mid'",
    "midi_bytes": "4000 + n % 3000",
    "sha256": "encode(sha256(n::text::bytea), 'hex')",
    "notes_count": "100 + hashint8(n) % 50",
    "seconds": "30 + (hashint8(n) % 1000) / 100.0",
    "notes_per_second": "4 + (hashint8(n + 1) % 1000) / 500.0",
    "pitch_class_entropy": "3 + (hashint8(n + 2) % 1000) / 2000.0",
    "polyphony": "2 + (hashint8(n + 3) % 1000) / 1000.0",
    "measures": "measures.text::json",
    "created_at": "now()",
}
_MEASURES = '{"notes_per_second": 4.2, "pitch_class_entropy": 3.1, "polyphony": 2.2, "pitch_range": 48, "repeats": 0.1}'
_SIZES = text(
    """
    SELECT relname AS name, reltuples::bigint AS rows, pg_table_size(oid) AS table_bytes,
           pg_indexes_size(oid) AS index_bytes
    FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    ORDER BY pg_total_relation_size(oid) DESC
    """
)


def add_takes(database: Database, total: int) -> None:
    """Bring the table of takes to `total` rows of generations that ended long ago, as inserts make them."""
    with database.transaction() as session:
        first = session.execute(text("SELECT count(*) FROM take")).scalar_one()
    for at in range(first, total, _BATCH):
        last = min(at + _BATCH, total) - 1
        with database.transaction() as session:
            _add_generations(session, at // TAKES_PER_GENERATION, last // TAKES_PER_GENERATION)
            columns, values = _insert(Base.metadata.tables["take"], _TAKE)
            session.execute(
                text(
                    f"INSERT INTO take ({columns}) SELECT {values} FROM generate_series({at}, {last}) AS n "
                    "JOIN generation AS g ON g.seed_block = n / 1000, (SELECT :measures AS text) AS measures"
                ).bindparams(measures=_MEASURES)
            )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def add_work(session: Session, owners: int, units: int, many: int) -> None:
    """Waiting work: `units` of every owner, and `many` more of the first one, who asked before all others."""
    for number in range(owners):
        enqueue(
            session,
            kind=JobKind.GENERATION,
            queue=Queue.GENERATION,
            title=f"Work of owner {number}",
            owner=f"owner-{number:03d}",
            payloads=[{"first": 0, "count": 24}] * (units + (many if number == 0 else 0)),
            request={},
        )


def clear_work(database: Database) -> None:
    """Remove all jobs with their units, and the workers."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("UPDATE generation SET job_id = NULL WHERE job_id IS NOT NULL"))
        for table in ("unit", "job_log", "job", "owner_turn", "worker"):
            connection.execute(text(f"DELETE FROM {table}"))
            connection.execute(text(f"VACUUM FULL {table}"))
        connection.execute(text("ANALYZE"))


def sizes(database: Database) -> dict[str, dict[str, int]]:
    """Rows, bytes of the table and bytes of its indexes, by table, the largest first."""
    with database.engine.connect() as connection:
        return {
            row.name: {"rows": row.rows, "table_bytes": row.table_bytes, "index_bytes": row.index_bytes}
            for row in connection.execute(_SIZES)
        }


def _add_generations(session: Session, first: int, last: int) -> None:
    # A column of this benchmark alone tells which takes are whose.
    session.execute(text("ALTER TABLE generation ADD COLUMN IF NOT EXISTS seed_block integer"))
    session.execute(text("CREATE INDEX IF NOT EXISTS ix_benchmark_seed_block ON generation (seed_block)"))
    own = {
        "model_name": "'Large'",
        "model_hash": "repeat('ab', 32)",
        "name": "'Takes ' || b",
        "owner": "'owner-' || lpad((b % 100)::text, 3, '0')",
        "settings": "'{}'::json",
        "takes_total": str(TAKES_PER_GENERATION),
        "takes_done": str(TAKES_PER_GENERATION),
        "created_at": "now() - interval '1 year'",
    }
    columns, values = _insert(Base.metadata.tables["generation"], own)
    session.execute(
        text(
            f"INSERT INTO generation ({columns}, seed_block) SELECT {values}, b "
            f"FROM generate_series({first}, {last}) AS b "
            "WHERE NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.seed_block = b)"
        )
    )


def _insert(table: Table, own: dict[str, str]) -> tuple[str, str]:
    """Names and SQL values of all columns that must be given."""
    values = dict(own)
    for column in table.columns:
        default: Any = getattr(column.default, "arg", None)
        if column.name not in values and not column.primary_key and not column.nullable and not callable(default):
            values[column.name] = repr(default) if isinstance(default, str) else str(default)
    return ", ".join(f'"{name}"' for name in values), ", ".join(values.values())
