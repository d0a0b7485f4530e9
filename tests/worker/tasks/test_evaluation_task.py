"""Evaluations as workers run them: every stage, interrupted, resumed, tried again and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from core.datasets.corpus import Corpus
from core.encoding.performance import NOTE_OFF, TIME_SHIFT, VELOCITY
from core.errors import ConflictError
from core.modeling.checkpoints import Checkpoint
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation, SharedPassage
from core.models.generations import Generation, Take
from core.models.jobs import JobKind, JobState, Queue
from core.models.trainings import Model, Training
from core.services.evaluations import LOW_PRIORITY, create_evaluation, delete_evaluation, get_evaluation
from core.services.generations import delete_generation
from core.services.jobs import retry_job
from core.services.lineage import link_to_training
from core.services.models import delete_model
from worker.tasks import evaluation as task
from worker.tasks import generation as generation_task
from worker.unit_context import Interrupt, UnitContext, UnitInterrupted

pytestmark = pytest.mark.slow

SMALL = {"takes": 8, "notes": 24}


def submit(workplace: Any, model_id: int, dataset_id: int, **more: Any) -> int:
    values = more.pop("values", SMALL)
    with workplace.database.transaction() as session:
        return create_evaluation(
            session, workplace.store, model_id=model_id, dataset_id=dataset_id, values=values, **more
        ).id


def evaluation_of(workplace: Any, number: int) -> Evaluation:
    with workplace.database.reading() as session:
        return get_evaluation(session, number)


@pytest.fixture
def measured(workplace: Any, corpus: Any, tiny_lstm: bytes) -> tuple[Any, int, int]:
    """A place with a dataset and a model."""
    return workplace, workplace.dataset(corpus), workplace.model(tiny_lstm)


@pytest.fixture
def measured_on_sqlite(sqlite_workplace: Any, corpus: Any, tiny_lstm: bytes) -> tuple[Any, int, int]:
    """The same, where the database makes no difference."""
    return sqlite_workplace, sqlite_workplace.dataset(corpus), sqlite_workplace.model(tiny_lstm)


def test_an_evaluation_measures_everything_with_takes_of_its_own(measured: tuple[Any, int, int]) -> None:
    workplace, dataset, model = measured
    number = submit(workplace, model, dataset)
    workplace.run_all(task.run)
    done = evaluation_of(workplace, number)
    assert done.finished_at is not None
    assert done.job is not None
    assert done.job.state is JobState.SUCCEEDED
    likelihood = done.results["likelihood"]
    assert likelihood["kind"] == "events"
    assert likelihood["pieces"] == 1
    assert 1 < likelihood["nats_per_event"] < 6.5
    assert likelihood["nats_per_note"] > likelihood["nats_per_event"]
    music = done.results["music"]
    assert music["takes"] == 8
    assert music["notes"] == 24
    assert set(music["defects"]) == {"takes", "real", "random"}
    assert len(done.results["originality"]["takes"]) == 8
    with workplace.database.reading() as session:
        takes = session.scalars(select(Take).where(Take.generation_id == done.generation_id)).all()
        assert sorted(take.seed for take in takes) == list(range(8))
        assert session.query(SharedPassage).count() == 8


def test_a_model_that_forgets_every_release_has_hanging_notes_though_a_limit_ends_them(
    sqlite_workplace: Any, corpus: Any, tiny_lstm: bytes
) -> None:
    forgetful = Checkpoint.from_bytes(tiny_lstm)
    forgetful.weights["output.bias"][NOTE_OFF:TIME_SHIFT] -= 30
    forgetful.weights["output.bias"][VELOCITY - 1] += 3  # pauses of 1 s, so that a take outlasts the limit
    workplace = sqlite_workplace
    dataset, model = workplace.dataset(corpus), workplace.model(forgetful.to_bytes())
    number = submit(workplace, model, dataset)
    workplace.run_all(task.run)
    music = evaluation_of(workplace, number).results["music"]
    assert music["hanging_seconds"] == 8.0
    assert music["defects"]["takes"]["hanging"] == 1000.0
    assert music["defects"]["random"]["hanging"] < 1000.0


def test_one_that_was_stopped_at_each_stage_goes_on_to_the_same_results(
    measured_on_sqlite: tuple[Any, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace, dataset, model = measured_on_sqlite
    whole = submit(workplace, model, dataset)
    workplace.run_all(task.run)
    number = submit(workplace, model, dataset)
    phases = ("1 of 4", "2 of 4", "3 of 4: reading", "3 of 4: measuring", "3 of 4: comparing", "4 of 4: searching")
    for phase in phases:
        context = workplace.claim(Queue.GENERATION)
        stop_in(context, phase)
        with pytest.raises(UnitInterrupted):
            task.run(context)
        workplace.release(context)
    workplace.run_all(task.run)
    first, second = evaluation_of(workplace, whole), evaluation_of(workplace, number)
    assert second.finished_at is not None
    assert second.results["likelihood"] == first.results["likelihood"]
    assert second.results["music"] == first.results["music"]
    assert second.results["originality"]["takes"] == first.results["originality"]["takes"]


def stop_in(context: UnitContext, phase: str) -> None:
    """Interrupt the unit as soon as it says that it does `phase`."""
    progress = context.progress

    def told(**values: Any) -> None:
        progress(**values)
        if str(values.get("phase", "")).startswith(phase):
            context.interrupt(Interrupt.STOP)

    context.progress = told  # type: ignore[method-assign]


def test_one_that_nobody_asked_for_lets_people_go_first(
    measured_on_sqlite: tuple[Any, int, int], monkeypatch: Any
) -> None:
    workplace, dataset, model = measured_on_sqlite
    monkeypatch.setattr(task, "_LOOK_SECONDS", 0.0)
    number = submit(workplace, model, dataset, priority=LOW_PRIORITY)
    context = workplace.claim(Queue.GENERATION)
    generation = workplace.generation(model, seeds="5", length=10)
    with pytest.raises(UnitInterrupted):
        task.run(context)
    workplace.release(context)
    other = workplace.claim(Queue.GENERATION)
    assert other.claim.kind is JobKind.GENERATION
    generation_task.run(other)
    workplace.finish(other)
    assert workplace.generation_row(generation).takes_done == 1
    workplace.run_all(task.run)
    assert evaluation_of(workplace, number).finished_at is not None


def test_a_generation_that_exists_is_measured_as_it_is(measured_on_sqlite: tuple[Any, int, int]) -> None:
    workplace, dataset, model = measured_on_sqlite
    generation = workplace.generation(model, seeds="0-4", length=20)
    workplace.run_all(generation_task.run)
    number = submit(workplace, model, dataset, generation_id=generation)
    with pytest.raises(ConflictError, match="used by job"):
        delete_generation(workplace.database, workplace.store, generation)
    workplace.run_all(task.run)
    done = evaluation_of(workplace, number)
    assert done.results["music"]["takes"] == 5
    assert workplace.generation_row(generation).takes_total == 5
    delete_evaluation(workplace.database, workplace.store, number)
    assert workplace.generation_row(generation).takes_done == 5


def test_without_takes_the_likelihood_alone_is_measured(measured_on_sqlite: tuple[Any, int, int]) -> None:
    workplace, dataset, model = measured_on_sqlite
    number = submit(workplace, model, dataset, values={"takes": 0})
    workplace.run_all(task.run)
    assert set(evaluation_of(workplace, number).results) == {"likelihood"}


def learned(workplace: Any, model: int, dataset: int) -> None:
    """Say that a model was trained on a dataset."""
    with workplace.database.transaction() as session:
        training = Training(dataset_id=dataset, name="done", family="lstm", settings={}, step=1, steps=1, figures={})
        session.add(training)
        session.flush()
        link_to_training(session, session.get_one(Model, model), training, session.get_one(Dataset, dataset))


def test_pieces_that_the_model_has_seen_are_counted_and_own_validation_pieces_are_told(
    sqlite_workplace: Any, corpus: Any, tiny_lstm: bytes
) -> None:
    workplace = sqlite_workplace
    own, model = workplace.dataset(corpus), workplace.model(tiny_lstm)
    learned(workplace, model, own)
    pieces = [corpus.piece(number) for number in (3, 1, 2, 0)]
    elsewhere = workplace.dataset(Corpus.of(pieces, ["train", "train", "train", "validation"]))
    at_home, away = (submit(workplace, model, each, values={"takes": 0}) for each in (own, elsewhere))
    workplace.run_all(task.run)
    first, second = (evaluation_of(workplace, each).results["likelihood"] for each in (at_home, away))
    assert (first["seen"], first["chose_checkpoint"]) == (0, True)
    assert (second["seen"], second["chose_checkpoint"]) == (1, False)


def test_a_dataset_with_a_training_piece_among_its_held_out_ones_is_refused(
    sqlite_workplace: Any, corpus: Any, tiny_lstm: bytes
) -> None:
    workplace = sqlite_workplace
    pieces = [corpus.piece(number) for number in (0, 1, 2, 1)]
    mixed = workplace.dataset(Corpus.of(pieces, ["train", "train", "train", "validation"]))
    number = submit(workplace, workplace.model(tiny_lstm), mixed, values={"takes": 0})
    with pytest.raises(ConflictError, match="are training pieces too, so no figure would be held out"):
        workplace.run_all(task.run)
    assert evaluation_of(workplace, number).results == {}


def test_the_article_is_measured_by_its_own_loss(sqlite_workplace: Any, corpus: Any, tiny_tutorial: bytes) -> None:
    workplace = sqlite_workplace
    dataset, model = workplace.dataset(corpus), workplace.model(tiny_tutorial)
    number = submit(workplace, model, dataset)
    workplace.run_all(task.run)
    done = evaluation_of(workplace, number)
    assert done.results["likelihood"]["kind"] == "article"
    assert done.results["likelihood"]["loss"] > 0
    assert done.results["music"]["takes"] == 8


def test_a_failed_one_is_tried_again_and_goes_on(
    measured_on_sqlite: tuple[Any, int, int], fail: Callable[..., None]
) -> None:
    workplace, dataset, model = measured_on_sqlite
    number = submit(workplace, model, dataset)
    context = workplace.claim(Queue.GENERATION)
    stop_in(context, "2 of 4")
    with pytest.raises(UnitInterrupted):
        task.run(context)
    fail(context)
    job_id = evaluation_of(workplace, number).job_id
    with workplace.database.transaction() as session:
        again = retry_job(session, job_id).id
    assert evaluation_of(workplace, number).job_id == again
    workplace.run_all(task.run)
    assert evaluation_of(workplace, number).finished_at is not None


@pytest.fixture
def fail() -> Callable[..., None]:
    """Ends a unit in failure, as the runner does."""
    from core.queue import lifecycle

    def end(context: UnitContext) -> None:
        with context.database.transaction() as session:
            lifecycle.fail(session, context.unit_id, context.attempt, "It broke.")

    return end


def test_takes_made_for_an_evaluation_go_with_it_and_with_the_model(measured: tuple[Any, int, int]) -> None:
    workplace, dataset, model = measured
    first, second = submit(workplace, model, dataset), submit(workplace, model, dataset)
    with pytest.raises(ConflictError, match="used by job"):
        delete_model(workplace.database, workplace.store, model)
    with pytest.raises(ConflictError, match="cancel job"):
        delete_evaluation(workplace.database, workplace.store, first)
    workplace.run_all(task.run)
    folders = [f"generations/{evaluation_of(workplace, each).generation_id}" for each in (first, second)]
    assert all(len(workplace.store.files(folder)) == 8 for folder in folders)
    delete_evaluation(workplace.database, workplace.store, first)
    assert not workplace.store.files(folders[0])
    delete_model(workplace.database, workplace.store, model)
    assert not workplace.store.files(folders[1])
    with workplace.database.reading() as session:
        assert not session.scalars(select(Generation)).all()
        assert not session.scalars(select(Evaluation)).all()
