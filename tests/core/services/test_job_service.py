"""Lists of jobs, and trying again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from core.errors import ConflictError, InputError, NotFoundError
from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.jobs import Job, JobState, Unit, UnitState
from core.models.trainings import Model, Training
from core.services.jobs import find_jobs, retry_job
from core.services.models import upload_model
from core.services.resubmitting import resubmit
from core.services.trainings import create_training
from tests.tools.web_content import WebContent


def failed_generation(content: WebContent, made: int) -> tuple[int, int]:
    """A generation of 600 takes in three tiles, the first of them done; its number and its job's."""
    number = content.generation(content.model(), seeds="0-599", made=made)
    with content.database.transaction() as session:
        job = session.get_one(Job, session.get_one(Generation, number).job_id)
        job.state, job.error = JobState.FAILED, "broken"
        states = {0: UnitState.DONE, 1: UnitState.FAILED, 2: UnitState.CANCELLED}
        for index, state in states.items():
            session.execute(update(Unit).where(Unit.job_id == job.id, Unit.index == index).values(state=state))
        return number, job.id


def retry(content: WebContent, job_id: int) -> Job:
    with content.database.transaction() as session:
        return retry_job(session, job_id)


def test_a_retry_takes_over_what_is_not_done(content: WebContent) -> None:
    number, job_id = failed_generation(content, 300)
    job = retry(content, job_id)
    with content.database.reading() as session:
        units = session.scalars(select(Unit).where(Unit.job_id == job.id).order_by(Unit.index)).all()
        generation = session.get_one(Generation, number)
    assert [unit.payload["first"] for unit in units] == [256, 512]
    assert {unit.state for unit in units} == {UnitState.WAITING}
    assert (job.retry_of_id, job.progress_done, job.progress_total) == (job_id, 300, 600)
    assert (generation.job_id, generation.takes_total, generation.takes_done) == (job.id, 600, 300)
    with pytest.raises(ConflictError, match=f"was tried again already, as job {job.id}"):
        retry(content, job_id)
    with pytest.raises(ConflictError, match="is queued; only failed and cancelled"):
        retry(content, job.id)
    with pytest.raises(NotFoundError, match="no job 999"):
        retry(content, 999)


def test_of_two_retries_at_once_one_is_refused(content: WebContent, at_once: Callable[..., list[Any]]) -> None:
    _, job_id = failed_generation(content, 0)
    results = at_once(*[lambda: retry(content, job_id).id] * 4)
    assert sorted(isinstance(result, ConflictError) for result in results) == [False, True, True, True]


def test_what_is_gone_is_not_tried_again(content: WebContent) -> None:
    number, job_id = failed_generation(content, 0)
    with content.database.transaction() as session:
        session.delete(session.get_one(Model, session.get_one(Generation, number).model_id))
    with pytest.raises(ConflictError, match="model 'Small' was deleted; upload it again"):
        retry(content, job_id)
    back = upload_model(content.database, content.store, content.checkpoint().to_bytes(), name="back")
    job = retry(content, job_id)
    with content.database.reading() as session:
        assert session.get_one(Generation, number).model_id == back.id
    content.finish_job(job.id, JobState.FAILED, "broken")
    with content.database.transaction() as session:
        session.delete(session.get_one(Generation, number))
    with pytest.raises(ConflictError, match="what it worked on was deleted"):
        retry(content, job.id)

    dataset = content.dataset()
    with content.database.transaction() as session:
        training = create_training(session, dataset_id=dataset, family="lstm", values={})
    content.finish_job(training.job_id or 0, JobState.CANCELLED)
    with content.database.transaction() as session:
        session.delete(session.get_one(Dataset, dataset))
    with pytest.raises(ConflictError, match="the dataset of this training was deleted"):
        retry(content, training.job_id or 0)
    with content.database.reading() as session:
        assert session.get_one(Training, training.id).job_id == training.job_id


def test_jobs_are_filtered_and_paged(content: WebContent) -> None:
    model = content.model()
    for seeds in ("0-7", "0-3", "0"):
        content.generation(model, seeds=seeds, made=0)
    content.generation(model, seeds="1", made=1)
    with content.database.reading() as session:
        found = find_jobs(session, state="active", kind="generation", owner="local", search=" TAKES by small ")
        assert [job.progress_total for job in found.items] == [4, 8]
        assert find_jobs(session, search="100%").total == find_jobs(session, search="take_").total == 0
        last = find_jobs(session, page=2, per_page=3)
        assert (len(last.items), last.total, last.pages) == (1, 4, 2)
        assert find_jobs(session, page=9).items == []
        for values, said in (
            ({"state": "lost"}, "state: 'lost' is unknown; allowed are queued, running,"),
            ({"kind": "party"}, "kind: 'party' is unknown; allowed are import,"),
            ({"page": 0}, "page: 0 is refused; allowed is 1 to 1,000,000"),
            ({"page": 10**20}, "page: 100000000000000000000 is refused"),
            ({"per_page": 501}, "per_page: 501 is refused; allowed is 1 to 500"),
        ):
            with pytest.raises(InputError, match=said):
                find_jobs(session, **values)


def test_a_training_from_before_is_submitted_again_as_it_was(content: WebContent) -> None:
    dataset_id = content.dataset()
    with content.database.transaction() as session:
        training = create_training(session, dataset_id=dataset_id, family="gru", values={}, name="Old", owner="local")
        assert (training.settings["optimizer"], training.settings["sounding"]) == ("muon", True)
        # As an earlier version stored it, which knew neither.
        training.settings = {
            name: value for name, value in training.settings.items() if name not in {"optimizer", "sounding"}
        }
        job_id = training.job_id
        assert job_id is not None
        for evaluate in (False, True):
            training.evaluate = evaluate
            again = resubmit(session, content.store, job_id, changes={"seed": 7})
            assert again is not None
            made = session.scalars(select(Training).where(Training.job_id == again.id)).one()
            assert made.evaluate == evaluate
    assert (made.settings["optimizer"], made.settings["sounding"], made.settings["seed"]) == ("adamw", False, 7)
