"""What the doctor asks of the database, the broker and the store of files."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import redis
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from core.artifacts import ArtifactStore
from core.changes import redis_client
from core.errors import CadenzaError
from core.models.base import utc_now
from core.models.generations import Take
from core.models.trainings import Model
from core.notifications.mail_server import connected
from core.records.database import Database
from core.records.schema import current, newest
from core.settings import Settings

# About, level, what was found, what to do.
Found = tuple[str, Literal["ok", "warning", "problem"], str, str]
_OLDEST_POSTGRESQL = 140000
_OLDEST_REDIS = 6
_SKEW_SECONDS = 60.0
_SAMPLE = 200
_MAIL_SECONDS = 5.0


def examine_database(database: Database) -> Iterator[Found]:
    """Does it answer, is it whole, are its tables of this program's revision, do the clocks agree?"""
    try:
        with database.engine.connect() as connection:
            if database.is_sqlite:
                answer = str(connection.scalar(text("PRAGMA quick_check")))
                mend = "" if answer == "ok" else "Restore a backup: 'cadenza restore'."
                yield "database", "ok" if answer == "ok" else "problem", f"SQLite: {answer}", mend
            else:
                yield from _examine_postgresql(connection)
        found = current(database)
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", error)).strip()
        if database.is_sqlite and not isinstance(error, OperationalError):
            yield "database", "problem", f"SQLite: {reason}", "Restore a backup: 'cadenza restore'."
        else:
            told = f"The database does not answer: {reason}"
            yield "database", "problem", told, "Start it, and check CADENZA_DATABASE_URL."
        return
    if found == newest():
        yield "tables", "ok", f"revision {found}", ""
    else:
        told = f"revision {found or 'none'}, this program needs {newest()}"
        yield "tables", "problem", told, "Run 'cadenza db upgrade', or the newer Cadenza that made them."


def _examine_postgresql(connection: Any) -> Iterator[Found]:
    number = int(connection.scalar(text("SHOW server_version_num")))
    encrypted = connection.connection.driver_connection.pgconn.ssl_in_use
    told = f"PostgreSQL {connection.scalar(text('SHOW server_version'))}, {'with' if encrypted else 'without'} TLS"
    if number < _OLDEST_POSTGRESQL:
        yield "database", "problem", told, "Upgrade it to PostgreSQL 14 or newer."
    else:
        yield "database", "ok", told, ""
    there: datetime = connection.scalar(text("SELECT clock_timestamp()"))
    skew = abs((utc_now() - there).total_seconds())
    if skew > _SKEW_SECONDS:
        told = f"this machine's clock and the database's differ by {skew:,.0f} s"
        yield "clock", "warning", told, "No work is lost by it, but times on pages are wrong: start NTP on both."
    most = int(connection.scalar(text("SHOW max_connections")))
    used = int(connection.scalar(text("SELECT count(*) FROM pg_stat_activity")) or 0)
    if used > 0.8 * most:
        mend = "Raise max_connections, or put PgBouncer in session mode in front."
        yield "connections", "warning", f"{used} of {most} connections are in use", mend


def examine_broker(settings: Settings) -> Iterator[Found]:
    """Does it answer, is it new enough, does it keep what it is told?"""
    client = redis_client(settings.resolved_broker_url)
    try:
        info: dict[str, Any] = client.info()
    except (redis.RedisError, OSError) as error:
        own = not settings.broker_url
        mend = "'cadenza up' starts it." if own else "Start it, and check CADENZA_BROKER_URL."
        yield "broker", "warning" if own else "problem", f"The broker does not answer: {error}.", mend
        return
    finally:
        client.close()
    name, version = ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info["redis_version"])
    old = int(str(info["redis_version"]).partition(".")[0]) < _OLDEST_REDIS
    yield "broker", "problem" if old else "ok", f"{name} {version}", "Upgrade it to Redis 6 or newer." if old else ""
    if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
        told = f"it throws keys away when its memory is full ({info['maxmemory_policy']})"
        yield "broker", "warning", told, "Set maxmemory-policy to noeviction; lost tickets are sent again, but late."


def examine_store(settings: Settings) -> Iterator[Found]:
    """Can a file be written, read and deleted; are the files there that rows speak of?"""
    key = f"doctor/{secrets.token_hex(8)}"
    try:
        store = ArtifactStore.of(settings)
        store.write(key, b"here")
        whole = store.read(key) == b"here"
        store.delete(key)
    except Exception as error:  # noqa: BLE001  # each kind of store has errors of its own
        mend = "Check CADENZA_ARTIFACTS_URL, its address and its access rights."
        yield "files", "problem", f"The store cannot be used: {error}", mend
        return
    if not whole:
        yield "files", "problem", "The store gives back other bytes than it was given.", "Use another store."
        return
    missing, looked = _missing_files(settings, store)
    if missing:
        told = f"{len(missing)} of {looked} files that rows speak of are missing, such as {missing[0]}"
        yield "files", "problem", told, "Restore them from a backup, or delete what they belong to."
    else:
        yield "files", "ok", f"{store.url}: writable; {looked} files of the newest rows are there", ""


def _missing_files(settings: Settings, store: ArtifactStore) -> tuple[list[str], int]:
    """Keys of the newest takes and models that are not in the store, and how many were looked at."""
    database = Database(settings.resolved_database_url)
    try:
        if current(database) != newest():
            return [], 0
        with database.reading() as session:
            keys = list(session.scalars(select(Take.midi_key).order_by(Take.id.desc()).limit(_SAMPLE)))
            keys += session.scalars(select(Model.checkpoint_key).order_by(Model.id.desc()).limit(_SAMPLE))
            missing = [key for key in keys if not store.exists(key)]
            # Deleted while this looked: no row speaks of it any more.
            there = select(func.count()).select_from(Take)
            missing = [
                key
                for key in missing
                if session.scalar(there.where(Take.midi_key == key))
                or session.scalar(select(func.count()).select_from(Model).where(Model.checkpoint_key == key))
            ]
    except (SQLAlchemyError, CadenzaError):
        return [], 0
    finally:
        database.dispose()
    return missing, len(keys)


def examine_mail(settings: Settings) -> Iterator[Found]:
    """Does the mail server answer, and take the name and password? Nothing is sent."""
    if not settings.smtp_host:
        yield "e-mail", "ok", "none is sent (CADENZA_SMTP_HOST is empty)", ""
        return
    where = f"{settings.smtp_host}:{settings.smtp_port}, {settings.smtp_security}"
    try:
        with connected(settings, _MAIL_SECONDS) as server:
            server.noop()
    except (OSError, ValueError) as error:
        told = f"{where}: it cannot be used: {' '.join(str(error).split()) or type(error).__name__}"
        yield "e-mail", "problem", told, "Check the CADENZA_SMTP_ settings: host, port, security, user and password."
        return
    if settings.smtp_security == "none" and settings.smtp_user:
        mend = "Set CADENZA_SMTP_SECURITY to starttls or tls."
        yield "e-mail", "warning", f"{where}: the password travels unencrypted", mend
    elif not settings.public_url:
        mend = "Set CADENZA_PUBLIC_URL, so that links in e-mails lead here from elsewhere."
        yield "e-mail", "warning", f"{where}: it answers, but there is no public address", mend
    else:
        yield "e-mail", "ok", f"{where}: it answers", ""
