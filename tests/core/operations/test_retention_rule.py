"""The rule of retention and its runs: nothing goes unasked, counts are exact, a death in the middle loses no count."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from core.artifacts import ArtifactStore
from core.errors import ConflictError, InputError
from core.models.base import utc_now
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobState
from core.operations.retention_rule import RetentionRuns, ask_for_run, last_runs, rule_of, set_rule
from core.records.database import Database
from tests.tools.web_content import WebContent


@pytest.fixture
def old(content: WebContent) -> WebContent:
    """Eight takes of a month ago that nobody kept."""
    with content.database.transaction() as session:
        month_ago = utc_now() - timedelta(days=30)
        session.execute(update(Take).values(created_at=month_ago))
        session.execute(update(Generation).values(created_at=month_ago))
        session.execute(update(Job).values(state=JobState.SUCCEEDED).execution_options(synchronize_session=False))
    return content


def takes(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count(Take.id))) or 0


def test_the_setting_holds_until_somebody_sets_a_rule(database: Database) -> None:
    with database.transaction() as session:
        assert (rule_of(session, 7).days, rule_of(session, 7).set_by) == (7, "")
        set_rule(session, 0, "ada")
        assert (rule_of(session, 7).days, rule_of(session, 7).set_by) == (0, "ada")
        set_rule(session, 90, "eve")
        assert (rule_of(session, 7).days, rule_of(session, 7).set_by) == (90, "eve")
        set_rule(session, None, "ada")
        session.flush()
        assert rule_of(session, 7).days == 7
        with pytest.raises(InputError, match="0 to 36,500"):
            set_rule(session, 36_501, "ada")


def test_a_run_deletes_what_was_asked_about_and_says_how_much(old: WebContent) -> None:
    runs = RetentionRuns(old.database, old.store, 0)
    assert runs.delete_expired_takes() == 0
    with pytest.raises(ConflictError, match="8 takes are that old by now, but only 7"):
        ask_for_run(old.database, 29, 7, "ada")
    with pytest.raises(ConflictError, match="nothing to delete"):
        ask_for_run(old.database, 31, 9, "ada")
    with pytest.raises(InputError, match="1 to"):
        ask_for_run(old.database, 0, 9, "ada")
    ask_for_run(old.database, 29, 8, "ada")
    with pytest.raises(ConflictError, match="under way"):
        ask_for_run(old.database, 29, 8, "ada")
    with old.database.reading() as session:
        size = session.scalar(select(func.sum(Take.midi_bytes)))
    assert runs.delete_expired_takes() == 8
    with old.database.reading() as session:
        (run,) = last_runs(session)
    assert (run.takes, run.bytes, run.asked_by, run.error) == (8, size, "ada", "")
    assert run.finished_at is not None
    assert runs.delete_expired_takes() == takes(old.database) == 0


def test_the_rule_runs_once_an_hour_and_leaves_no_empty_runs(old: WebContent) -> None:
    now = [0.0]
    runs = RetentionRuns(old.database, old.store, 31, lambda: now[0])
    assert runs.delete_expired_takes() == 0
    with old.database.transaction() as session:
        set_rule(session, 29, "ada")
    assert runs.delete_expired_takes() == 0, "not before the hour is over"
    now[0] = 3601.0
    assert runs.delete_expired_takes() == 8
    now[0] = 7202.0
    assert runs.delete_expired_takes() == 0
    with old.database.reading() as session:
        assert [(run.takes, run.asked_by) for run in last_runs(session)] == [(8, "")]


def test_another_process_goes_on_with_what_one_left(old: WebContent, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead(BaseException):
        pass

    def die(self: ArtifactStore, key: str) -> None:
        raise Dead

    ask_for_run(old.database, 29, 8, "ada")
    with monkeypatch.context() as patch:
        patch.setattr("core.operations.retention._BATCH", 3)
        patch.setattr(ArtifactStore, "delete", die)
        with pytest.raises(Dead):
            RetentionRuns(old.database, old.store, 0).delete_expired_takes()
    assert takes(old.database) == 5
    assert RetentionRuns(old.database, old.store, 0).delete_expired_takes() == 5
    with old.database.reading() as session:
        (run,) = last_runs(session)
    assert run.takes == 8


def test_a_store_that_refuses_ends_the_run_with_the_reason(old: WebContent, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: ArtifactStore, key: str) -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(ArtifactStore, "delete", away)
    ask_for_run(old.database, 29, 8, "ada")
    RetentionRuns(old.database, old.store, 0).delete_expired_takes()
    with old.database.reading() as session:
        (run,) = last_runs(session)
    assert run.error == "the store is away"
    assert run.finished_at is not None
