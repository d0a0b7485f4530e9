"""Connections and transactions, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker

from core.changes import ChangeFeed, SilentFeed
from core.people.rights import SYSTEM_ACTOR, Actor
from core.people.sight import limit_sight
from core.settings import Settings

# One number for the whole of Cadenza: claims (and other decisions that count rows) take turns behind it.
_CLAIM_LOCK = 0x0CADE2A
# A connection that was used this short a time ago is taken for alive.
_REST_SECONDS = 1.0

# A server, or the network to it, that is gone without a word is noticed within half a minute instead of hours. The
# URL's own options come after these.
_NOTICE_SERVERS_DEATH = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

# The server, for its part, must notice a client that is gone: until then it keeps the locks of its open transaction,
# and every other process waits for them. Eleven seconds are less than the silence after which a unit goes to others;
# a client that is there but stands still (a host that sleeps, a stopped process) has a minute.
_NOTICE_CLIENTS_DEATH = """
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = 10000; SET idle_in_transaction_session_timeout = 60000;
"""


class Database:
    """One database, shared by the threads of a process.

    `reading()` is for looking, `transaction()` for writing, `exclusive()` for decisions that count rows, one at a time
    across all processes. Topics given to `announce(session, ...)` are published only after the commit.

    `actor_of` says on whose behalf the present thread works: `session.info["actor"]`. What `reading()` shows is what
    this one may see.
    """

    def __init__(
        self, url: str, changes: ChangeFeed | None = None, actor_of: Callable[[], Actor] = lambda: SYSTEM_ACTOR
    ) -> None:
        self.url = url
        self.actor_of = actor_of
        self.changes = changes or SilentFeed()
        self.engine = _create_engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @classmethod
    def of(cls, settings: Settings, actor_of: Callable[[], Actor] = lambda: SYSTEM_ACTOR) -> Database:
        """The installation's database, announcing changes through its broker."""
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        return cls(settings.resolved_database_url, ChangeFeed.of(settings), actor_of)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite (else PostgreSQL)."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self, *, all_rows: bool = False) -> Iterator[Session]:
        """A session for looking only: never waits for a writer, and nothing of it is kept.

        Args:
            all_rows: also those that the actor may not see, to decide about them.
        """
        with self._sessions() as session:
            session.info["actor"] = self.actor_of()
            if not all_rows:
                limit_sight(session, session.info["actor"])
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back on any error; then announces what changed."""
        with self._sessions() as session:
            session.info["actor"] = self.actor_of()
            with session.begin():
                if self.is_sqlite:
                    # A reader that turns writer half way fails at once if another wrote meanwhile: be the writer first.
                    session.connection(execution_options={"cadenza_immediate": True})
                yield session
            self._publish(session)

    @contextmanager
    def exclusive(self) -> Iterator[Session]:
        """Like `transaction`, but only one at a time among all processes; SQLite's writers always are."""
        with self.transaction() as session:
            if not self.is_sqlite:
                session.connection().exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CLAIM_LOCK})")
            yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _publish(self, session: Session) -> None:
        topics = session.info.pop("topics", None)
        if topics:
            self.changes.publish(topics)


def announce(session: Session, *topics: str) -> None:
    """Tell open pages, once this transaction is committed, that `topics` ("job:12", "jobs", ...) changed."""
    session.info.setdefault("topics", {}).update(dict.fromkeys(topics))


def _create_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(
            parsed,
            connect_args={name: value for name, value in _NOTICE_SERVERS_DEATH.items() if name not in parsed.query},
            pool_size=10,
            max_overflow=40,
        )
        event.listen(engine, "connect", _prepare_postgresql)
        _test_rested(engine)
        return engine
    # Loaded with this file, and so before TensorFlow, which brings an SQLite of its own: whoever loads second gets the
    # library of the first, and a process' plans and errors would depend on what it has imported.
    engine = create_engine(parsed, module=sqlite3, connect_args={"timeout": 30}, pool_size=10, max_overflow=90)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _test_rested(engine: Engine) -> None:
    """Test a connection before its use when it has rested, and replace it when it is dead.

    SQLAlchemy's own `pool_pre_ping` asks before every transaction, which costs a busy worker a tenth of its time.
    """

    def remember(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def test(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("used_at", time.monotonic()) < _REST_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", remember)
    event.listen(engine, "checkout", test)


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    connection.execute(_NOTICE_CLIENTS_DEATH)
    connection.commit()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by _begin_sqlite alone: the driver's own handling begins too late for BEGIN IMMEDIATE.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    immediate = connection.get_execution_options().get("cadenza_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def topics_of(job_id: int, subjects: Iterable[str] = ()) -> list[str]:
    """The topics of a change to a job: its own, the lists that show it, and its subjects ("generation:3")."""
    return [f"job:{job_id}", "jobs", *subjects]
