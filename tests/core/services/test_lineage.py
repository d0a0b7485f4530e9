"""What made a model stays known: when it was kept early, in copies, after deletions, and to those who see less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.datasets import Dataset
from core.models.evaluations import Evaluation
from core.models.jobs import Job, JobKind, JobLog, JobState, Queue
from core.models.trainings import Model, Training, TrainingPoint
from core.people.rights import Actor, Role
from core.queue.enqueue import enqueue
from core.records.database import Database
from core.services.comparability import chose_checkpoint
from core.services.comparing import compare_models
from core.services.datasets import delete_dataset
from core.services.evaluations import create_evaluation, evaluate_after_training
from core.services.keeping import add_training_model, keep_model, locked_training, store_model_files
from core.services.lineage import trained_on, trainings_behind
from core.services.loss_curves import loss_curves
from core.services.models import delete_model, upload_model
from tests.tools.web_content import WebContent

Facts = tuple[int | None, int | None, str]


def facts_of(database: Database, *model_ids: int) -> list[Facts]:
    """What each model says of its training and its dataset, both as they are found."""
    with database.reading() as session:
        behind = trainings_behind(session, model_ids)
        found = []
        for number in model_ids:
            dataset, training = trained_on(session, number), behind.get(number)
            name = session.get_one(Model, number).dataset_name
            found.append((training and training.id, dataset and dataset.id, name))
        return found


def upload(content: WebContent, seed: int = 0) -> int:
    return upload_model(content.database, content.store, content.checkpoint(seed).to_bytes(), name="copy").id


def finish(content: WebContent, training: int, seed: int) -> int:
    """The training stores its model, as its worker does."""
    checkpoint = content.checkpoint(seed)
    files = store_model_files(content.store, checkpoint, checkpoint.to_bytes(), None)
    with content.database.transaction() as session:
        row, dataset = locked_training(session, training)
        return add_training_model(session, row, dataset, files)[0].id


def with_job(content: WebContent, training: int, state: JobState, *, evaluate: bool = True) -> int:
    """Give a training a job in such a state; its number."""
    with content.database.transaction() as session:
        job = enqueue(
            session, kind=JobKind.TRAINING, queue=Queue.TRAINING, title="t", owner="local", payloads=[{}], request={}
        )
        job.state = state
        row = session.get_one(Training, training)
        row.job_id, row.evaluate = job.id, evaluate
        return job.id


@pytest.fixture
def dataset(content: WebContent) -> int:
    number = content.dataset("Own music")
    with content.database.transaction() as session:
        session.get_one(Dataset, number).content_hash = "own"
    return number


@pytest.fixture
def training(content: WebContent, dataset: int) -> int:
    """One that has come to a checkpoint and to points of its curve, but to no model yet."""
    number = content.training(dataset, content.model("before", seed=9))
    content.store.write("trainings/1/best.cadenza", content.checkpoint(seed=1).to_bytes())
    with content.database.transaction() as session:
        row = session.get_one(Training, number)
        row.best_key, row.evaluate = "trainings/1/best.cadenza", False
        session.delete(session.get_one(Model, row.model_id))
        session.add(TrainingPoint(training_id=number, step=400, values={"held_out_nats_per_event": 2.5}))
    return number


def test_a_model_kept_before_the_end_is_as_well_known_as_the_final_one(
    content: WebContent, dataset: int, training: int
) -> None:
    kept = keep_model(content.database, content.store, training).id
    final = finish(content, training, seed=2)
    assert facts_of(content.database, kept, final) == [(training, dataset, "Own music")] * 2
    with content.database.transaction() as session:
        evaluations = [create_evaluation(session, content.store, model_id=number) for number in (kept, final)]
        assert [each.dataset_id for each in evaluations] == [dataset] * 2
        assert all(chose_checkpoint(session, each) for each in evaluations)
    with content.database.reading() as session:
        assert session.get_one(Training, training).model_id == final
        rows = compare_models(session, [kept, final]).rows
        assert [row.training and row.training.id for row in rows] == [training] * 2
        assert {number: curve.dataset_name for number, curve in loss_curves(session, rows).items()} == {
            kept: "Own music",
            final: "Own music",
        }
    with content.database.transaction() as session:
        session.delete(session.get_one(Model, final))
    with content.database.reading() as session:
        assert session.get_one(Training, training).model_id == kept


def test_the_training_keeps_one_model_of_equal_content(content: WebContent, training: int) -> None:
    kept = keep_model(content.database, content.store, training).id
    later = finish(content, training, seed=2)
    # The best of all was that which was kept first: no third model, nor a copy of its files.
    assert finish(content, training, seed=1) == kept
    assert keep_model(content.database, content.store, training).id == kept
    with content.database.reading() as session:
        assert list(session.scalars(select(Model.id).order_by(Model.id))) == [kept, later]


def test_copies_know_what_the_model_knows_that_they_are_copies_of(
    content: WebContent, dataset: int, training: int
) -> None:
    early = upload(content, seed=1)
    stranger = upload(content, seed=5)
    assert facts_of(content.database, early, stranger) == [(None, None, "")] * 2
    kept = keep_model(content.database, content.store, training).id
    copy = upload(content, seed=1)
    assert facts_of(content.database, early, kept, copy) == [(training, dataset, "Own music")] * 3
    delete_model(content.database, content.store, kept)
    again = upload(content, seed=1)
    assert facts_of(content.database, early, copy, again) == [(training, dataset, "Own music")] * 3
    assert facts_of(content.database, stranger) == [(None, None, "")]
    with content.database.reading() as session:
        # A copy is no model that the training made: kept again, it makes one.
        assert session.get_one(Training, training).model_id is None
        assert session.get_one(Model, again).origin == "uploaded"
    made = keep_model(content.database, content.store, training).id
    assert made > again
    assert facts_of(content.database, made) == [(training, dataset, "Own music")]


def test_what_is_known_of_a_deleted_dataset_finds_another_import_of_the_same_music(
    content: WebContent, dataset: int, training: int
) -> None:
    kept = keep_model(content.database, content.store, training).id
    other = content.dataset("Other music")
    delete_dataset(content.database, content.store, dataset)
    copy = upload(content, seed=1)
    assert facts_of(content.database, kept, copy) == [(training, None, "Own music")] * 2
    with content.database.reading() as session:
        curves = loss_curves(session, compare_models(session, [copy]).rows)
        assert curves[copy].dataset_name == "Own music"
    again = content.dataset("Imported again")
    with content.database.transaction() as session:
        session.get_one(Dataset, again).content_hash = "own"
    assert facts_of(content.database, kept, copy) == [(training, again, "Own music")] * 2
    with content.database.transaction() as session:
        evaluation = create_evaluation(session, content.store, model_id=kept)
        assert evaluation.dataset_id == again != other
        # The pieces that chose the checkpoint are the same ones, whatever dataset they are of.
        assert chose_checkpoint(session, evaluation)


@pytest.mark.parametrize("repetition", range(3))
def test_a_dataset_that_is_deleted_meanwhile_is_either_linked_or_gone(
    content: WebContent, dataset: int, training: int, at_once: Callable[..., list[Any]], repetition: int
) -> None:
    database, store = content.database, content.store
    finish(content, training, seed=3)
    deleted, kept, copy = at_once(
        lambda: delete_dataset(database, store, dataset),
        lambda: keep_model(database, store, training).id,
        lambda: upload(content, seed=3),
    )
    assert deleted is None
    assert [facts[:2] for facts in facts_of(database, kept, copy)] == [(training, None)] * 2


def test_whoever_sees_no_training_of_others_still_learns_the_dataset(
    content: WebContent, dataset: int, training: int
) -> None:
    model = keep_model(content.database, content.store, training).id
    stranger = Actor("ada", Role.MEMBER, sees_all=False)
    theirs = Database(content.database.url, actor_of=lambda: stranger)
    try:
        assert facts_of(theirs, model) == [(None, dataset, "Own music")]
        owner = replace(stranger, name="local")
        theirs.actor_of = lambda: owner
        assert facts_of(theirs, model) == [(training, dataset, "Own music")]
    finally:
        theirs.dispose()


@pytest.mark.parametrize(
    ("state", "evaluate", "follows"),
    [
        (JobState.CANCELLED, True, 1),
        (JobState.FAILED, True, 1),
        (JobState.CANCELLED, False, 0),
        (JobState.RUNNING, True, 0),
    ],
)
def test_an_evaluation_follows_what_is_kept_of_a_training_that_has_ended(
    content: WebContent, training: int, state: JobState, evaluate: bool, follows: int
) -> None:
    with_job(content, training, state, evaluate=evaluate)
    kept = keep_model(content.database, content.store, training)
    assert keep_model(content.database, content.store, training).id == kept.id
    with content.database.reading() as session:
        assert list(session.scalars(select(Evaluation.model_id))) == [kept.id] * follows
    # At the end of a training whose best was kept before, once.
    for _ in range(2):
        with content.database.transaction() as session:
            evaluate_after_training(session, content.store, *whole(session, training, kept.id))
    with content.database.reading() as session:
        assert list(session.scalars(select(Evaluation.model_id))) == [kept.id] * evaluate


def test_an_evaluation_follows_what_was_kept_before_the_training_was_cancelled(
    content: WebContent, training: int
) -> None:
    job = with_job(content, training, JobState.RUNNING)
    kept = keep_model(content.database, content.store, training).id
    with content.database.transaction() as session:
        session.get_one(Job, job).state = JobState.CANCELLED
        assert session.scalar(select(Evaluation.id)) is None
    for _ in range(2):
        assert keep_model(content.database, content.store, training).id == kept
        with content.database.reading() as session:
            assert list(session.scalars(select(Evaluation.model_id))) == [kept]


def whole(session: Session, training: int, model: int) -> tuple[Training, Model]:
    return session.get_one(Training, training), session.get_one(Model, model)


def test_what_is_kept_without_its_dataset_is_not_measured_but_kept(
    content: WebContent, dataset: int, training: int
) -> None:
    delete_dataset(content.database, content.store, dataset)
    with_job(content, training, JobState.CANCELLED)
    kept = keep_model(content.database, content.store, training).id
    assert facts_of(content.database, kept) == [(training, None, "")]
    with content.database.reading() as session:
        assert "No evaluation follows" in "".join(session.scalars(select(JobLog.message)))
