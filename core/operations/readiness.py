"""Whether this process can serve: what a load balancer needs to know before it sends people here."""

from __future__ import annotations

from dataclasses import dataclass

import redis
from sqlalchemy.exc import SQLAlchemyError

from core.artifacts import ArtifactStore
from core.changes import redis_client
from core.errors import CadenzaError
from core.records.database import Database
from core.records.revisions import require_current
from core.settings import Settings

OK = "ok"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Each check by name with "ok" or what is wrong, as a sentence."""

    ready: bool
    checks: dict[str, str]


def check_readiness(database: Database, store: ArtifactStore, settings: Settings) -> Readiness:
    """Ask database, store and broker. Without the broker pages still work and jobs are kept, so it may be away."""
    checks = {"database": _database(database), "store": _store(store)}
    is_ready = all(answer == OK for answer in checks.values())
    return Readiness(is_ready, {**checks, "broker": _broker(settings)})


def _database(database: Database) -> str:
    try:
        require_current(database)
    except CadenzaError as error:
        return str(error)
    except (SQLAlchemyError, OSError) as error:
        return f"The database does not answer ({type(error).__name__})."
    return OK


def _store(store: ArtifactStore) -> str:
    try:
        store.exists("ready")
    except Exception as error:  # noqa: BLE001  # each kind of store has errors of its own
        return f"The store of files does not answer ({type(error).__name__})."
    return OK


def _broker(settings: Settings) -> str:
    client = redis_client(settings.resolved_broker_url)
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return "The broker does not answer: jobs are kept, and begin when it is back."
    finally:
        client.close()
    return OK
