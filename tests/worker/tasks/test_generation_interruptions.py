"""Generations that are cancelled, paused, killed, given up or lose their database half way: what is kept, once."""

from __future__ import annotations

import time
from concurrent.futures import wait
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from core.errors import SupersededError
from core.modeling.checkpoints import Checkpoint
from core.models.generations import Take
from core.models.jobs import JobState, Queue
from core.music.notes import Notes
from core.queue import control
from core.sampling.composer import Composer
from core.sampling.programs import programs_of
from core.services.jobs import get_job, retry_job
from core.services.sweeping import sweep
from worker.tasks import generation as task
from worker.tasks import take_writer
from worker.tasks.take_writer import TakeWriter
from worker.unit_context import Interrupt, UnitContext, UnitInterrupted

pytestmark = pytest.mark.slow


@pytest.fixture
def paced(tiny_lstm: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen takes at a time, the file of each stored before the next one comes, on a machine of any size and speed.

    Then at most sixteen more are made before what happens at the storing of one is noticed.
    """
    programs = programs_of(Checkpoint.from_bytes(tiny_lstm).family_settings)
    monkeypatch.setattr(programs, "_widths", (8,))
    monkeypatch.setattr(programs, "_most_blocks", 2)
    add = TakeWriter.add

    def add_and_store(self: TakeWriter, index: int, seed: int, temperature: float, notes: Notes) -> None:
        add(self, index, seed, temperature, notes)
        wait(self._files)

    monkeypatch.setattr(TakeWriter, "add", add_and_store)


def after(context: UnitContext, takes: int, then: Any) -> None:
    """Do something once so many takes are stored."""
    whole, stored = context.store.write, 0

    def write(key: str, data: bytes) -> None:
        nonlocal stored
        whole(key, data)
        stored += 1
        if stored == takes:
            then()

    context.store.write = write  # type: ignore[method-assign]  # it is passed on to the real one


@pytest.mark.usefixtures("paced")
def test_a_cancelled_generation_keeps_its_takes_and_a_retry_makes_the_rest(workplace: Any, tiny_lstm: bytes) -> None:
    number = workplace.generation(workplace.model(tiny_lstm), seeds="0-47", length=20)
    context = workplace.claim(Queue.GENERATION)
    after(context, 9, lambda: context.interrupt(Interrupt.CANCEL))
    with workplace.database.transaction() as session:
        control.cancel(session, context.job_id)
    with pytest.raises(UnitInterrupted):
        task.run(context)
    workplace.release(context)
    del context.store.write
    kept = workplace.takes(number)
    assert 9 <= len(kept) < 48
    assert workplace.generation_row(number).takes_done == len(kept)

    with workplace.database.transaction() as session:
        assert get_job(session, context.job_id).state is JobState.CANCELLED
        again = retry_job(session, context.job_id)
    assert again.progress_done == len(kept)
    workplace.run_all(task.run)
    takes = workplace.takes(number)
    assert [take.index for take in takes] == list(range(48))
    assert {take.id: take.sha256 for take in kept}.items() <= {take.id: take.sha256 for take in takes}.items()
    assert workplace.generation_row(number).takes_done == 48

    # And all of it is what one undisturbed run makes.
    other = workplace.generation(workplace.generation_row(number).model_id, seeds="0-47", length=20)
    workplace.run_all(task.run)
    assert [take.sha256 for take in workplace.takes(other)] == [take.sha256 for take in takes]


@pytest.mark.usefixtures("paced")
def test_a_pause_that_is_taken_back_goes_on(sqlite_workplace: Any, tiny_lstm: bytes, monkeypatch: Any) -> None:
    number = sqlite_workplace.generation(sqlite_workplace.model(tiny_lstm), seeds="0-47", length=20)
    context = sqlite_workplace.claim(Queue.GENERATION)
    after(context, 5, lambda: context.interrupt(Interrupt.PAUSE))
    compositions = []
    compose = Composer.compose

    def watched(self: Composer, requests: Any, *rest: Any, **more: Any) -> None:
        compositions.append(len(requests))
        try:
            compose(self, requests, *rest, **more)
        finally:
            context.withdraw_pause()

    monkeypatch.setattr(Composer, "compose", watched)
    task.run(context)
    first, second = compositions
    assert (first, 0 < second <= 48 - 5) == (48, True)
    assert [take.index for take in sqlite_workplace.takes(number)] == list(range(48))
    assert sqlite_workplace.generation_row(number).takes_done == 48


def test_an_attempt_that_was_given_up_adds_nothing(workplace: Any, tiny_lstm: bytes) -> None:
    number = workplace.generation(workplace.model(tiny_lstm), seeds="0-7", length=20)
    sleeper = workplace.claim(Queue.GENERATION)
    workplace.release(sleeper)
    context = workplace.claim(Queue.GENERATION)
    assert context.attempt == sleeper.attempt + 1
    task.run(context)
    made = workplace.takes(number)
    workplace_takes = {take.midi_key: workplace.store.read(take.midi_key) for take in made}
    # The sleeper wakes as if it had looked at the rows before the other began.
    with workplace.database.transaction() as session:
        for take in session.scalars(select(Take).where(Take.index < 3)):
            session.delete(take)
    with pytest.raises(SupersededError):
        task.run(sleeper)
    assert [take.index for take in workplace.takes(number)] == [3, 4, 5, 6, 7]
    assert {key: workplace.store.read(key) for key in workplace_takes} == workplace_takes
    assert workplace.generation_row(number).takes_done == 8


@pytest.mark.usefixtures("paced")
def test_a_commit_whose_answer_was_lost_counts_once(workplace: Any, tiny_lstm: bytes, monkeypatch: Any) -> None:
    number = workplace.generation(workplace.model(tiny_lstm), seeds="0-47", length=20)
    context = workplace.claim(Queue.GENERATION)
    whole = context.transaction
    calls = 0

    class Lossy:
        """Commits, and then says that it could not."""

        def __enter__(self) -> Any:
            self.inner = whole()
            return self.inner.__enter__()

        def __exit__(self, *error: Any) -> None:
            nonlocal calls
            self.inner.__exit__(*error)
            calls += 1
            if calls == 1 and error[0] is None:
                raise OperationalError("COMMIT", {}, OSError("connection lost"))

    monkeypatch.setattr(context, "transaction", Lossy)
    monkeypatch.setattr("worker.tasks.take_writer._FLUSH_SECONDS", 0.0)
    with pytest.raises(OperationalError):
        task.run(context)
    # What was committed was committed again as the unit ended, and has been counted once.
    stored = workplace.takes(number)
    assert calls == 2
    assert len(stored) == workplace.generation_row(number).takes_done > 0
    task.run(context)
    assert [take.index for take in workplace.takes(number)] == list(range(48))
    assert workplace.generation_row(number).takes_done == 48


def test_finished_takes_are_seen_while_others_are_made(
    sqlite_workplace: Any, tiny_lstm: bytes, monkeypatch: Any
) -> None:
    number = sqlite_workplace.generation(sqlite_workplace.model(tiny_lstm), seeds="0-1", length=20)
    context = sqlite_workplace.claim(Queue.GENERATION)
    seen: list[int] = []
    now = [time.monotonic()]
    monkeypatch.setattr(take_writer, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(
        self: Composer, requests: Any, settings: Any, primer: Any, on_take: Any, interrupted: Any, **_: Any
    ) -> None:
        note = Notes.of([0.0], [0.5], [60], [64])
        on_take(0, note)
        # The second take is long in coming; the first shall be seen meanwhile, when it is half a second old.
        assert not interrupted()
        assert sqlite_workplace.takes(number) == []
        now[0] += 0.5
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:  # its file is written by another thread
            assert not interrupted()
            seen.extend(take.index for take in sqlite_workplace.takes(number))
        on_take(1, note)

    monkeypatch.setattr(Composer, "compose", slow)
    task.run(context)
    assert seen == [0]
    assert len(sqlite_workplace.takes(number)) == 2


def test_a_kill_between_file_and_row_leaves_nothing_for_long(
    sqlite_workplace: Any, tiny_lstm: bytes, monkeypatch: Any
) -> None:
    number = sqlite_workplace.generation(sqlite_workplace.model(tiny_lstm), seeds="0-7", length=20)
    killed = sqlite_workplace.claim(Queue.GENERATION)
    with monkeypatch.context() as patch:
        patch.setattr(TakeWriter, "_commit", lambda self: None)
        task.run(killed)
    assert (len(sqlite_workplace.take_files(number)), sqlite_workplace.takes(number)) == (8, [])
    sqlite_workplace.release(killed)
    sqlite_workplace.run_all(task.run)
    takes = sqlite_workplace.takes(number)
    assert len(sqlite_workplace.take_files(number)) == 16
    assert sweep(sqlite_workplace.database, sqlite_workplace.store) == 0
    assert sweep(sqlite_workplace.database, sqlite_workplace.store, timedelta(0)) == 8
    assert sqlite_workplace.take_files(number) == sorted(take.midi_key for take in takes)
