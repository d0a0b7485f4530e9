"""The doctor finds what is wrong, says what to do, and changes nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text, update

from core.artifacts import ArtifactStore
from core.models.base import utc_now
from core.models.jobs import Job, Unit, UnitState
from core.models.workers import Worker
from core.operations.doctor import Finding, examine
from core.settings import Settings
from tests.tools.receivers import receive_mail
from tests.tools.web_content import WebContent


@pytest.fixture
def here(settings: Settings, database_url: str, valkey_url: str, store: ArtifactStore) -> Settings:
    """The installation of `content`, on a real broker."""
    settings.data_dir.mkdir(exist_ok=True)
    return settings.model_copy(
        update={"database_url": database_url, "broker_url": valkey_url, "artifacts_url": store.url}
    )


def about(findings: list[Finding], name: str, level: str) -> str:
    """What is said of one thing at one level."""
    found = [finding for finding in findings if finding.about == name and finding.level == level]
    assert found, findings
    return f"{found[0].found} -> {found[0].mend}"


def test_a_healthy_installation(here: Settings, content: WebContent) -> None:
    content.worker("all")
    before = content.store.files()
    findings = examine(here)
    assert "revision" in about(findings, "tables", "ok")
    assert "Valkey" in about(findings, "broker", "ok")
    assert "9 files" in about(findings, "files", "ok") or "files of the newest rows" in about(findings, "files", "ok")
    assert content.store.files() == before
    assert {finding.about for finding in findings} >= {"program", "data folder", "database", "devices", "takes"}
    assert all(finding.mend for finding in findings if finding.level != "ok")


def test_every_fault_is_named_with_what_to_do(here: Settings, content: WebContent) -> None:
    lost = next(key for key in content.store.files() if "takes" in key)
    content.store.delete(lost)
    with content.database.transaction() as session:
        session.execute(update(Worker).values(version="0.0.1"))
        session.execute(update(Job).values(created_at=utc_now() - timedelta(hours=2), state="running"))
        session.execute(update(Unit).values(state=UnitState.WAITING, queue="light"))
        session.execute(update(Worker).values(queues=["light"]))
    (here.data_dir / "secret_key").write_text("x")
    (here.data_dir / "secret_key").chmod(0o644)
    findings = examine(here)
    assert lost in about(findings, "files", "problem")
    assert "w (0.0.1)" in about(findings, "versions", "problem")
    assert "chmod 600" in about(findings, "secret key", "problem")
    assert "cadenza up" in about(findings, "queue training", "warning")
    with content.database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert "cadenza db upgrade" in about(examine(here), "tables", "problem")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_away(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    away = here.model_copy(
        update={
            "database_url": "postgresql://nobody@127.0.0.1:1/nothing",
            "broker_url": "redis://127.0.0.1:1/0",
            "artifacts_url": (tmp_path / "file" / "x").as_uri(),
            "data_dir": tmp_path / "nowhere",
        }
    )
    findings = examine(away)
    assert "CADENZA_DATABASE_URL" in about(findings, "database", "problem")
    assert "CADENZA_BROKER_URL" in about(findings, "broker", "problem")
    assert "CADENZA_ARTIFACTS_URL" in about(findings, "files", "problem")
    assert "cadenza up" in about(findings, "data folder", "warning")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_database(here: Settings, content: WebContent) -> None:
    content.database.dispose()
    path = Path(content.database.url.removeprefix("sqlite:///"))
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 6] = b"\xff" * (4096 * 3)
    path.write_bytes(bytes(data))
    assert "cadenza restore" in about(examine(here), "database", "problem")


def test_the_mail_server_is_tried(here: Settings, content: WebContent) -> None:
    assert "CADENZA_SMTP_HOST is empty" in about(examine(here), "e-mail", "ok")
    access = {"smtp_host": "127.0.0.1", "smtp_security": "none", "smtp_user": "cadenza"}
    with receive_mail("cadenza", "right") as mailbox:
        asked = here.model_copy(update={**access, "smtp_port": mailbox.port, "smtp_password": SecretStr("right")})
        assert "unencrypted" in about(examine(asked), "e-mail", "warning")
        wrong = asked.model_copy(update={"smtp_password": SecretStr("wrong")})
        assert "CADENZA_SMTP_" in about(examine(wrong), "e-mail", "problem")
        assert mailbox.arrived == []
    assert "cannot be used" in about(examine(asked), "e-mail", "problem")


def test_a_worker_that_serves_nothing_is_named_with_its_reason(here: Settings, content: WebContent) -> None:
    content.worker("all")
    with content.database.transaction() as session:
        session.execute(update(Worker).values(state="starting", problem="Jobs of kind audio cannot run here."))
    assert "serves nothing. Jobs of kind audio" in about(examine(here), "workers", "problem")
