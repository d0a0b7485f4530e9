"""Database and broker by URL with TLS and certificates of our own, checked; a wrong authority is refused."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL

from core.artifacts import ArtifactStore
from core.models.jobs import JobState
from core.operations.examinations import examine_database
from core.operations.readiness import check_readiness
from core.records.database import Database
from core.settings import Settings
from tests.tools.tls import Certificates, tls_in_front_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.write(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def database_url(postgres_server: URL, migrated_postgres: str, certificates: Certificates) -> Iterator[str]:
    """A database behind TLS, its certificate checked. (The wheel's server is built without, as is its Valkey.)"""
    name = f"cadenza_tls_{secrets.token_hex(4)}"
    with psycopg.connect(_text(postgres_server), autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_postgres}")
        folder = Path(str(postgres_server.query["host"]))
        with tls_in_front_of(folder / ".s.PGSQL.5432", certificates, postgresql=True) as port:
            checked = f"sslmode=verify-full&sslrootcert={certificates.authority}"
            yield f"postgresql://postgres@127.0.0.1:{port}/{name}?{checked}"
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _text(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def valkey_url(valkey_url: str, certificates: Certificates) -> Iterator[str]:
    """The session's Valkey behind TLS."""
    path = Path(valkey_url.removeprefix("redis+socket://"))
    with tls_in_front_of(path, certificates) as port:
        yield f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={certificates.authority}"


def test_a_whole_installation_over_tls(
    database: Database, quick: Settings, start, submit, until, job_of, tmp_path: Path, certificates: Certificates
) -> None:
    with database.engine.connect() as connection:
        assert connection.connection.driver_connection.pgconn.ssl_in_use
    assert [found for found in examine_database(database) if "with TLS" in found[2]]
    store = ArtifactStore((tmp_path / "files").as_uri())
    assert check_readiness(database, store, quick).checks == dict.fromkeys(("database", "store", "broker"), "ok")
    start("worker", "w")
    start("maintenance")
    job = submit(units=3)
    until(lambda: job_of(job).state is JobState.SUCCEEDED)
    late = submit(ticket=False)  # maintenance sends the ticket
    until(lambda: job_of(late).state is JobState.SUCCEEDED)

    stranger = Certificates.write(tmp_path / "stranger").authority
    elsewhere = quick.model_copy(
        update={
            "database_url": quick.database_url.replace(str(certificates.authority), str(stranger)),
            "broker_url": quick.broker_url.replace(str(certificates.authority), str(stranger)),
        }
    )
    other = Database(elsewhere.database_url)
    readiness = check_readiness(other, store, elsewhere)
    assert not readiness.ready
    assert "does not answer" in readiness.checks["database"]
    assert "does not answer" in readiness.checks["broker"]
    other.dispose()
    plain = Database(quick.database_url.replace("verify-full", "disable"))
    assert "does not answer" in check_readiness(plain, store, quick).checks["database"]
    plain.dispose()
