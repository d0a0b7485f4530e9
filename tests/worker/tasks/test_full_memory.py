"""Work on a device whose memory is full: the job's log says that it goes on, or its error what to do."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from core.datasets.corpus import Corpus
from core.errors import DeviceError
from core.kept import Kept
from core.models.jobs import JobLog, JobState, Queue, Unit
from core.sampling.compiled_loop import CompiledLoop
from core.services.evaluations import create_evaluation
from core.training.heldout import Evaluator
from worker.tasks import evaluation, generation

pytestmark = pytest.mark.slow

NO_ROOM = r"memory is full: it has no room for this model of [0-9,]+ weights.*end them or wait.*smaller model"


def full() -> Exception:
    """What TensorFlow raises when there is no room for an array."""
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[256,512]")


def refuse(*_: Any) -> Any:
    raise full()


def warnings_of(workplace: Any, job_id: int) -> list[str]:
    with workplace.database.reading() as session:
        statement = select(JobLog.message).where(JobLog.job_id == job_id, JobLog.level == "warning")
        return list(session.scalars(statement.order_by(JobLog.id)))


def submit(workplace: Any, corpus: Corpus, checkpoint: bytes) -> None:
    model, dataset = workplace.model(checkpoint), workplace.dataset(corpus)
    with workplace.database.transaction() as session:
        create_evaluation(
            session, workplace.store, model_id=model, dataset_id=dataset, values={"takes": 8, "notes": 24}
        )


@pytest.fixture
def small_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """One core, whose memory holds 4 rows of a composition and 8 of an evaluation."""
    monkeypatch.setattr("core.sampling.programs.available_cores", lambda: 1)
    monkeypatch.setattr("core.sampling.programs._kept", Kept(6))
    monkeypatch.setattr(generation, "_composers", Kept(3))
    run, read = CompiledLoop.run, Evaluator._read_rows

    def run_few(loop: CompiledLoop, *given: Any) -> Any:
        return refuse() if loop.rows > 4 else run(loop, *given)

    def read_few(evaluator: Evaluator, *given: Any) -> Any:
        return refuse() if evaluator._rows > 8 else read(evaluator, *given)

    monkeypatch.setattr(CompiledLoop, "run", run_few)
    monkeypatch.setattr(Evaluator, "_read_rows", read_few)


@pytest.mark.usefixtures("small_device")
def test_a_generation_says_once_that_it_goes_on_with_fewer_takes_side_by_side(workplace: Any, tiny_lstm: bytes) -> None:
    number = workplace.generation(workplace.model(tiny_lstm), seeds="0-259", length=1)
    workplace.run_all(generation.run)
    row = workplace.generation_row(number)
    assert row.takes_done == 260
    with workplace.database.reading() as session:
        assert session.query(Unit).where(Unit.job_id == row.job_id).count() == 2
    (line,) = warnings_of(workplace, row.job_id)  # though both of its tiles met the full memory
    assert "with at most 4 takes side by side. That takes longer, and these takes may differ in bits" in line
    # Another job says it again.
    other = workplace.generation(row.model_id, seeds="0-8", length=1)
    workplace.run_all(generation.run)
    assert warnings_of(workplace, workplace.generation_row(other).job_id) == [line]


@pytest.mark.usefixtures("small_device")
def test_an_evaluation_says_so_of_its_pieces_and_its_takes(
    sqlite_workplace: Any, corpus: Corpus, tiny_lstm: bytes
) -> None:
    submit(sqlite_workplace, corpus, tiny_lstm)
    context = sqlite_workplace.claim(Queue.GENERATION)
    evaluation.run(context)
    assert sqlite_workplace.finish(context).state is JobState.SUCCEEDED
    pieces, takes = warnings_of(sqlite_workplace, context.job_id)
    assert "held-out pieces are read on with at most 8 side by side. That takes longer" in pieces
    assert "composing goes on with at most 4 takes side by side" in takes


@pytest.mark.parametrize(
    ("family", "place"),
    [
        ("lstm", "core.evaluation.likelihood.to_device"),
        ("tutorial", "core.evaluation.tutorial_loss.to_device"),
        ("tutorial", "core.evaluation.tutorial_loss.to_numpy"),
    ],
)
def test_an_evaluation_whose_model_has_no_room_says_what_to_do(
    sqlite_workplace: Any, corpus: Corpus, monkeypatch: pytest.MonkeyPatch, request: Any, family: str, place: str
) -> None:
    submit(sqlite_workplace, corpus, request.getfixturevalue(f"tiny_{family}"))
    context = sqlite_workplace.claim(Queue.GENERATION)
    with monkeypatch.context() as patched:
        patched.setattr(place, refuse)
        with pytest.raises(DeviceError, match=NO_ROOM):
            evaluation.run(context)
    # When there is room again, it goes on.
    evaluation.run(context)


def test_a_generation_whose_model_has_no_room_says_what_to_do(
    sqlite_workplace: Any, tiny_lstm: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "_composers", Kept(3))
    sqlite_workplace.generation(sqlite_workplace.model(tiny_lstm), seeds="0-1", length=5)
    context = sqlite_workplace.claim(Queue.GENERATION)
    monkeypatch.setattr("core.sampling.events_loop.to_device", refuse)
    with pytest.raises(DeviceError, match=NO_ROOM):
        generation.run(context)
