"""Retention takes what nobody kept, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from core.artifacts import ArtifactStore
from core.models.base import utc_now
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobState
from core.operations.retention import delete_expired, expiry, find_expired, find_stored, note_downloads
from core.records.database import Database
from core.settings import Settings
from tests.tools.web_content import WebContent
from webui.cli import main


@pytest.fixture
def old(content: WebContent) -> WebContent:
    """Eight takes of a month ago: one is starred, one has a remark, one was downloaded; and four of today."""
    with content.database.transaction() as session:
        month_ago = utc_now() - timedelta(days=30)
        session.execute(update(Take).values(created_at=month_ago))
        session.execute(update(Generation).values(created_at=month_ago))
        session.execute(update(Job).values(state=JobState.SUCCEEDED))
        ids = list(session.scalars(select(Take.id).order_by(Take.id)))
        session.execute(update(Take).where(Take.id == ids[0]).values(starred=True))
        session.execute(update(Take).where(Take.id == ids[1]).values(note="the good one"))
    note_downloads(content.database, take_ids=[ids[2]])
    content.generation(1, "50-53")
    return content


def seeds(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.scalars(select(Take.seed).order_by(Take.seed)))


def test_only_what_nobody_kept_goes(old: WebContent) -> None:
    before = find_stored(old.database)
    (found,) = find_expired(old.database, 29)
    assert (found.owner, found.takes) == ("local", 5)
    assert find_expired(old.database, 31) == []
    assert delete_expired(old.database, old.store, expiry(31)) == 0
    assert delete_expired(old.database, old.store, expiry(29)) == 5
    assert delete_expired(old.database, old.store, expiry(29)) == 0
    assert seeds(old.database) == [0, 1, 2, 50, 51, 52, 53]
    with old.database.reading() as session:
        keys = set(session.scalars(select(Take.midi_key)))
        first = session.scalars(select(Generation).order_by(Generation.id)).first()
    assert first is not None
    assert (first.takes_done, first.takes_total) == (3, 8)
    assert {key for key in old.store.files("generations") if key.endswith(".mid")} == keys
    assert find_stored(old.database)["local"] <= before["local"]


def test_what_runs_is_left_alone(old: WebContent) -> None:
    with old.database.transaction() as session:
        session.execute(update(Job).values(state=JobState.RUNNING))
    assert find_expired(old.database, 29) == []
    assert delete_expired(old.database, old.store, expiry(29)) == 0


def test_a_whole_zip_counts_as_a_download(old: WebContent) -> None:
    note_downloads(old.database, generation_id=1)
    assert find_expired(old.database, 29) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_deletes_nothing_unless_told(old: WebContent, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CADENZA_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("CADENZA_DATABASE_URL", old.database.url)
    monkeypatch.setenv("CADENZA_ARTIFACTS_URL", old.store.url)

    def run(*words: str, answer: str = "", code: int = 0) -> str:
        result = CliRunner().invoke(main, ["retention", *words], input=answer)
        assert result.exit_code == code, result.output
        return result.output

    assert "retention is off" in run(code=1)
    assert "5 takes" in run("--days", "29")
    assert "local: stores" in run("--days", "29")
    run("--days", "29", "--delete", answer="n\n", code=1)
    assert len(seeds(old.database)) == 12
    assert "5 takes were deleted" in run("--days", "29", "--delete", "--yes")
    assert len(seeds(old.database)) == 7
    assert "rule (set by the command line): 40 days" in run("--rule", "40")
    assert "0 takes older than 40 days" in run()
    assert "off, everything stays" in run("--rule", "off")
    assert "CADENZA_RETENTION_DAYS" in run("--rule", "setting")
    assert "a number of days" in run("--rule", "soon", code=2)


def test_nothing_is_lost_when_the_store_is_away(old: WebContent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go first: what is left is a file without a row, never a row without its file."""

    def away(self: ArtifactStore, key: str) -> None:
        raise OSError("away")

    monkeypatch.setattr(ArtifactStore, "delete", away)
    with pytest.raises(OSError, match="away"):
        delete_expired(old.database, old.store, expiry(29))
    with old.database.reading() as session:
        assert all(old.store.exists(key) for key in session.scalars(select(Take.midi_key)))
