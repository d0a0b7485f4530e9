"""How long a training will take: by what was seen, or by what this machine multiplies."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from core.models.datasets import Dataset
from core.models.jobs import JobKind, Queue, Unit
from core.models.trainings import Training
from core.models.workers import Worker
from core.services import estimates
from core.services.estimates import Estimate, estimate_training, training_work
from core.training.settings import EventSettings, parse_training_settings
from tests.tools.web_content import WebContent


def wanted(**values: Any) -> EventSettings:
    settings = parse_training_settings("lstm", {"steps": 1_000, **values})
    assert isinstance(settings, EventSettings)
    return settings


@pytest.fixture
def dataset(content: WebContent) -> int:
    """Of a training that took 1.5 s a step on a CPU, with figures on the way."""
    number = content.dataset()
    content.worker()
    training = content.training(number, content.model())
    job = content.measured_job(Queue.TRAINING, JobKind.TRAINING, work=1.0, seconds=450.0)
    with content.database.transaction() as session:
        session.execute(update(Unit).where(Unit.job_id == job).values(worker="worker-1"))
        session.get_one(Training, training).job_id = job
    return number


def estimate(content: WebContent, dataset: int, settings: EventSettings) -> Estimate:
    with content.database.reading() as session:
        return estimate_training(session, session.get_one(Dataset, dataset), settings)


def test_a_training_takes_as_long_as_one_like_it_did(content: WebContent, dataset: int) -> None:
    for values in ({}, {"seed": 5, "learning_rate": 0.002, "evaluate_every": 50}):
        whole = estimate(content, dataset, wanted(**values))
        assert whole.seconds == pytest.approx(1_500, rel=0.01)
        assert whole.steps == 1_000
    limited = estimate(content, dataset, wanted(minutes=10))
    assert limited.seconds == 600
    assert limited.steps == 350  # 0.9 of 600 s less the start, in steps of 1.5 s
    with content.database.reading() as session:
        row = session.get_one(Dataset, dataset)
        all_work, part = (training_work(session, row, wanted(minutes=minutes)) for minutes in (0, 10))
    assert part / all_work == pytest.approx(0.35, rel=0.03)


def test_figures_of_a_larger_dataset_come_on_top(content: WebContent, dataset: int) -> None:
    before = estimate(content, dataset, wanted(evaluate_every=100)).seconds
    with content.database.transaction() as session:
        other = Dataset(name="Large", source={"kind": "upload", "settings": {}}, ready=True)
        other.statistics = {"splits": {"validation": {"events": 100_000}}}
        session.add(other)
        session.flush()
        number = other.id
    figure = 0.4 * 100_000 / (16 * 64) * 1.5
    assert estimate(content, number, wanted(evaluate_every=100)).seconds - before == pytest.approx(
        10 * figure, rel=0.02
    )


@pytest.mark.parametrize("values", [{"units": 64}, {"batch_size": 4}, {"window": 32}, {"optimizer": "adamw"}])
def test_steps_of_another_size_are_told_by_the_machine(
    content: WebContent, dataset: int, values: dict[str, Any]
) -> None:
    assert estimate(content, dataset, wanted(**values)).seconds < 1_000


def test_what_a_cpu_took_says_nothing_of_a_gpu(content: WebContent, dataset: int) -> None:
    with content.database.transaction() as session:
        session.add(Worker(name="other", host="here", pid=2, queues=["training"], device="4 GPUs"))
    assert estimate(content, dataset, wanted()).seconds < 60


@pytest.mark.parametrize("change", [{"batch_size": 0}, {}])
def test_a_training_that_nothing_can_be_read_from_is_passed_over(
    content: WebContent, dataset: int, change: dict[str, Any]
) -> None:
    with content.database.transaction() as session:
        first = session.scalars(select(Training)).one()
        copied = ("dataset_id", "job_id", "name", "family")
        later = Training(**{name: getattr(first, name) for name in copied}, settings={**first.settings, **change})
        session.add(later)  # it has no points
    assert estimate(content, dataset, wanted()).seconds == pytest.approx(1_500, rel=0.01)


def test_of_a_large_product_a_part_is_measured(
    content: WebContent, dataset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[tuple[int, ...]] = []

    def measure(*sides: int) -> float:
        measured.append(sides)
        return 100.0

    monkeypatch.setattr(estimates, "_measured_gflops", measure)
    found = estimate(content, dataset, wanted(units=4096, batch_size=4096, minutes=5))
    assert measured == [(768, 768, 768), (256, 1024, 2048)]
    assert found == Estimate(300, 1)


def test_what_a_busy_machine_multiplies_is_not_believed(
    content: WebContent, dataset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds(recurrent: float) -> float:
        monkeypatch.setattr(estimates, "_measured_gflops", lambda rows, *_: 150.0 if rows == 768 else recurrent)
        return estimate(content, dataset, wanted(units=512)).seconds

    assert seconds(0.5) == seconds(1.0) < 3 * seconds(84.0)


def test_what_is_measured_is_of_this_machine() -> None:
    estimates._measured_gflops.cache_clear()
    assert 0.1 < estimates._measured_gflops(64, 256, 256) < 1e6
