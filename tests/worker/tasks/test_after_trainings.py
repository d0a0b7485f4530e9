"""What follows a training: an evaluation of its own, one of a model kept on the way, the search of a single take."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from core.errors import ConflictError
from core.models.evaluations import Evaluation
from core.models.generations import Take
from core.models.jobs import Job, Queue
from core.models.trainings import Training
from core.queue.control import cancel
from core.services.evaluations import LOW_PRIORITY, create_evaluation, get_evaluation
from core.services.keeping import keep_model
from core.services.originality import passages_of, request_originality
from core.services.trainings import create_training
from worker.tasks import evaluation as task
from worker.tasks import generation as generation_task
from worker.tasks import training as training_task

pytestmark = pytest.mark.slow


def test_an_evaluation_follows_a_training_unless_it_is_not_wanted(sqlite_workplace: Any, corpus: Any) -> None:
    workplace = sqlite_workplace
    dataset = workplace.dataset(corpus)
    tiny = {"embedding": 8, "units": 8, "steps": 2, "evaluate_every": 2, "batch_size": 2, "window": 16}
    with workplace.database.transaction() as session:
        wanted = create_training(session, dataset_id=dataset, family="lstm", values=tiny, evaluate=True).id
        create_training(session, dataset_id=dataset, family="lstm", values={**tiny, "seed": 1}, evaluate=False)
    workplace.run_all(training_task.run, Queue.TRAINING)
    with workplace.database.reading() as session:
        evaluation = session.scalars(select(Evaluation)).one()
        training = session.get_one(Training, wanted)
        job = session.get_one(Job, evaluation.job_id)
    assert evaluation.model_id == training.model_id
    assert evaluation.dataset_id == dataset
    assert job.priority == LOW_PRIORITY


def test_a_model_kept_during_its_training_is_held_against_the_same_music(workplace: Any, corpus: Any) -> None:
    dataset = workplace.dataset(corpus)
    tiny = {"embedding": 8, "units": 8, "steps": 4, "evaluate_every": 2, "batch_size": 2, "window": 16}
    with workplace.database.transaction() as session:
        training = create_training(session, dataset_id=dataset, family="lstm", values=tiny).id
    context = workplace.claim(Queue.TRAINING)
    tell, kept = context.progress, []

    def keeping(*args: Any, **values: Any) -> None:
        tell(*args, **values)
        if values.get("done") == 3:
            kept.append(keep_model(workplace.database, workplace.store, training).id)

    context.progress = keeping
    training_task.run(context)
    workplace.finish(context)
    with workplace.database.transaction() as session:
        final = session.get_one(Training, training).model_id
        assert final not in kept
        (own,) = session.scalars(select(Evaluation))
        assert own.model_id == final
        cancel(session, own.job_id)
        number = create_evaluation(session, workplace.store, model_id=kept[0], values={"takes": 2, "notes": 20}).id
    workplace.run_all(task.run)
    with workplace.database.reading() as session:
        found = get_evaluation(session, number).results
    assert (found["likelihood"]["seen"], found["likelihood"]["chose_checkpoint"]) == (0, True)
    assert found["originality"]["dataset_id"] == dataset
    workplace.generation(kept[0], seeds="3", length=30)
    workplace.run_all(generation_task.run)
    with workplace.database.transaction() as session:
        take = session.scalars(select(Take).order_by(Take.id.desc())).first()
        assert request_originality(session, take.id) is not None


def test_one_take_is_searched_for_copies_when_asked(workplace: Any, corpus: Any) -> None:
    dataset = workplace.dataset(corpus)
    tiny = {"embedding": 8, "units": 8, "steps": 2, "evaluate_every": 2, "batch_size": 2, "window": 16}
    with workplace.database.transaction() as session:
        training = create_training(session, dataset_id=dataset, family="lstm", values=tiny, evaluate=False).id
    workplace.run_all(training_task.run, Queue.TRAINING)
    with workplace.database.reading() as session:
        model = session.get_one(Training, training).model_id
    workplace.generation(model, seeds="3", length=30)
    workplace.run_all(generation_task.run)
    with workplace.database.transaction() as session:
        take = session.scalars(select(Take)).one().id
        job = request_originality(session, take)
        assert request_originality(session, take).id == job.id
    workplace.run_all(task.run, Queue.LIGHT)
    with workplace.database.transaction() as session:
        found = passages_of(session, take)
        assert request_originality(session, take) is None
    assert [row.dataset_id for row in found] == [dataset]
    assert found[0].threshold >= 16


def test_a_stranger_s_model_has_no_training_pieces_to_search(sqlite_workplace: Any, tiny_lstm: bytes) -> None:
    workplace = sqlite_workplace
    workplace.generation(workplace.model(tiny_lstm), seeds="3", length=30)
    workplace.run_all(generation_task.run)
    with workplace.database.transaction() as session:
        take = session.scalars(select(Take)).one().id
        with pytest.raises(ConflictError, match="trained elsewhere"):
            request_originality(session, take)
