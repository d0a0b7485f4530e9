"""Tiles composed by a tiny real model: files, rows, provenance, interruptions, other attempts."""

from __future__ import annotations

import hashlib
import io
import time
from datetime import timedelta
from typing import Any

import mido
import pretty_midi
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from core.datasets.corpus import Corpus
from core.errors import ConflictError, InputError, NotFoundError, SupersededError
from core.models.generations import Take
from core.models.jobs import JobState, Queue
from core.models.trainings import Model
from core.music.measures import find_defect, measure
from core.music.notes import Notes
from core.music.provenance import read_provenance
from core.music.reading import read_midi
from core.queue import control
from core.sampling.composer import Composer
from core.sampling.facts import SAMPLER_VERSION
from core.sampling.settings import GenerationSettings
from core.services.jobs import get_job, retry_job
from core.services.models import upload_model
from core.services.primers import PrimerChoice
from core.services.repeating import branch_take, more_like, repeat, repeat_take
from core.services.sweeping import sweep
from worker.tasks import generation as task
from worker.tasks.take_writer import TakeWriter
from worker.unit_context import Interrupt, UnitContext, UnitInterrupted

pytestmark = pytest.mark.slow


def takes_of(workplace: Any, generation_id: int) -> list[Take]:
    with workplace.database.reading() as session:
        statement = select(Take).where(Take.generation_id == generation_id).order_by(Take.index)
        return list(session.scalars(statement))


def take_files(workplace: Any, generation_id: int) -> list[str]:
    return list(workplace.store.files(f"generations/{generation_id}"))


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


def test_takes_are_stored_as_their_rows_say(workplace: Any, tiny_lstm: bytes) -> None:
    number = workplace.generation(
        workplace.model(tiny_lstm), seeds="3-12", temperatures="0.8,1.1", length=30, program=6
    )
    context = workplace.claim(Queue.GENERATION)
    task.run(context)
    job = workplace.finish(context)

    takes = takes_of(workplace, number)
    assert job.state is JobState.SUCCEEDED
    assert workplace.generation_row(number).takes_done == len(takes) == 20
    assert [(take.seed, take.temperature) for take in takes] == [(s, t) for t in (0.8, 1.1) for s in range(3, 13)]
    assert take_files(workplace, number) == sorted(take.midi_key for take in takes)
    for take in takes:
        data = workplace.store.read(take.midi_key)
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (take.sha256, take.midi_bytes)
        notes = read_midi(data).notes
        figures = measure(notes)
        played = pretty_midi.PrettyMIDI(io.BytesIO(data)).instruments
        assert [len(instrument.notes) for instrument in played] == [30] == [take.notes_count]
        assert played[0].program == 6
        assert take.seconds == pytest.approx(figures.seconds, abs=2e-3)
        assert take.polyphony == pytest.approx(figures.polyphony, rel=0.02)
        assert take.pitch_class_entropy == pytest.approx(figures.pitch_class_entropy)
        assert take.defect == find_defect(notes)
        own = read_provenance(data)
        assert (own.seed, own.sampler, own.settings["temperature"]) == (take.seed, SAMPLER_VERSION, take.temperature)
    assert len({take.sha256 for take in takes}) == 20
    assert context.take_progress()["progress_done"] == 20


def test_a_length_in_seconds_is_exact(sqlite_workplace: Any, tiny_lstm: bytes) -> None:
    model = sqlite_workplace.model(tiny_lstm)
    number = sqlite_workplace.generation(model, seeds="0-3", length_unit="seconds", length=7.5, tempo_factor=1.7)
    sqlite_workplace.run_all(task.run)
    for take in takes_of(sqlite_workplace, number):
        data = sqlite_workplace.store.read(take.midi_key)
        midi = pretty_midi.PrettyMIDI(io.BytesIO(data))
        assert mido.MidiFile(file=io.BytesIO(data)).length == pytest.approx(7.5)  # to the end of the track
        assert take.seconds == 7.5
        assert midi.get_end_time() <= 7.5
        assert take.notes_count == len(midi.instruments[0].notes) > 0


def test_a_tutorial_model_continues_its_usual_piece(
    sqlite_workplace: Any, tiny_tutorial: bytes, corpus: Corpus
) -> None:
    sqlite_workplace.dataset(corpus)
    number = sqlite_workplace.generation(sqlite_workplace.model(tiny_tutorial), seeds="0-4", length=40)
    row = sqlite_workplace.generation_row(number)
    assert (row.primer_title, row.settings["primer"]["notes"]) == ("Piece 0", 5)
    sqlite_workplace.run_all(task.run)
    for take in takes_of(sqlite_workplace, number):
        data = sqlite_workplace.store.read(take.midi_key)
        assert len(read_midi(data).notes) == take.notes_count == 40
        assert read_provenance(data).settings["primer"] == row.settings["primer"]


def test_repeating_gives_equal_bytes_primer_included(sqlite_workplace: Any, tiny_lstm: bytes, corpus: Corpus) -> None:
    place = sqlite_workplace
    place.dataset(corpus)
    primer = PrimerChoice(kind="piece", piece_id=2, notes=12)
    model = place.model(tiny_lstm)
    first = place.generation(
        model, seeds="5-9", temperatures=[0.9, 1.2], length=25, primer=primer, top_p=0.9, velocity=80, tempo_factor=1.3
    )
    place.run_all(task.run)
    chosen = takes_of(place, first)[7]
    data = place.store.read(chosen.midi_key)
    # What the primer came from may go: the take carries what decides it, and the primer is kept by its content.
    place.store.delete("datasets/1/o")

    with place.database.transaction() as session:
        again = [repeat_take(session, place.store, chosen.id), repeat(session, place.store, read_provenance(data))]
    before = GenerationSettings.model_validate(place.generation_row(first).settings)
    for generation in again:
        settings = GenerationSettings.model_validate(generation.settings)
        assert settings.plan() == [(chosen.seed, chosen.temperature)]
        assert settings.of_take(chosen.temperature) == before.of_take(chosen.temperature)
        assert generation.primer_title == "Piece 1"
    place.run_all(task.run)
    for generation in again:
        (take,) = takes_of(place, generation.id)
        assert place.store.read(take.midi_key) == data

    with place.database.transaction() as session:
        more = more_like(session, place.store, chosen.id, 4)
    settings = GenerationSettings.model_validate(more.settings)
    assert settings.of_take(chosen.temperature) == before.of_take(chosen.temperature)
    assert len({seed for seed, _ in settings.plan()}) == 4


def moments(notes: Notes) -> set[tuple[float, int]]:
    """Onsets on the grid of the events, with their pitches."""
    return {(round(onset, 2), pitch) for onset, _, pitch, _ in notes}


@pytest.mark.parametrize("family", ["lstm", "tutorial"])
def test_branches_begin_as_their_take_and_go_on_in_other_ways(
    sqlite_workplace: Any, tiny_lstm: bytes, tiny_tutorial: bytes, corpus: Corpus, family: str
) -> None:
    place = sqlite_workplace
    place.dataset(corpus)
    model = place.model(tiny_lstm if family == "lstm" else tiny_tutorial)
    first = place.generation(model, seeds="3", temperatures=[1.1], length=30, velocity=70)
    place.run_all(task.run)
    (root,) = takes_of(place, first)
    trunk = read_midi(place.store.read(root.midi_key)).notes
    with place.database.transaction() as session:
        branched = branch_take(session, place.store, root.id, 12, count=5, length=20)
    place.run_all(task.run)
    branches = [read_midi(place.store.read(take.midi_key)).notes for take in takes_of(place, branched.id)]
    assert len(branches) == 5
    for notes in branches:
        assert len(notes) == 32
        # All of the trunk is there; a new note of the same moment may lie below its last ones.
        assert moments(trunk[:12]) <= moments(notes)
        assert notes.onset_seconds[12] >= notes.onset_seconds[11]
        assert set(notes.velocity[12:].tolist()) == {70}
    assert len({(n.pitch[12:].tobytes(), n.onset_seconds[12:].tobytes()) for n in branches}) > 1
    # A branch is a take like any other: it can be repeated to the byte, and branched again.
    with place.database.transaction() as session:
        chosen = takes_of(place, branched.id)[2]
        again = repeat_take(session, place.store, chosen.id)
        branch_take(session, place.store, chosen.id, 32, count=2)
    place.run_all(task.run)
    (same,) = takes_of(place, again.id)
    assert place.store.read(same.midi_key) == place.store.read(chosen.midi_key)


@pytest.mark.parametrize("note", [0, 31])
def test_a_branch_begins_within_its_take(sqlite_workplace: Any, tiny_lstm: bytes, note: int) -> None:
    place = sqlite_workplace
    number = place.generation(place.model(tiny_lstm), seeds="1", length=30)
    place.run_all(task.run)
    (root,) = takes_of(place, number)
    refused = pytest.raises(InputError, match=f"note: {note} is refused; .* after note 1 to 30")
    with refused, place.database.transaction() as session:
        branch_take(session, place.store, root.id, note)


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
    kept = takes_of(workplace, number)
    assert 9 <= len(kept) < 48
    assert workplace.generation_row(number).takes_done == len(kept)

    with workplace.database.transaction() as session:
        assert get_job(session, context.job_id).state is JobState.CANCELLED
        again = retry_job(session, context.job_id)
    assert again.progress_done == len(kept)
    workplace.run_all(task.run)
    takes = takes_of(workplace, number)
    assert [take.index for take in takes] == list(range(48))
    assert {take.id: take.sha256 for take in kept}.items() <= {take.id: take.sha256 for take in takes}.items()
    assert workplace.generation_row(number).takes_done == 48

    # And all of it is what one undisturbed run makes.
    other = workplace.generation(workplace.generation_row(number).model_id, seeds="0-47", length=20)
    workplace.run_all(task.run)
    assert [take.sha256 for take in takes_of(workplace, other)] == [take.sha256 for take in takes]


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
    assert [take.index for take in takes_of(sqlite_workplace, number)] == list(range(48))
    assert sqlite_workplace.generation_row(number).takes_done == 48


def test_an_attempt_that_was_given_up_adds_nothing(workplace: Any, tiny_lstm: bytes) -> None:
    number = workplace.generation(workplace.model(tiny_lstm), seeds="0-7", length=20)
    sleeper = workplace.claim(Queue.GENERATION)
    workplace.release(sleeper)
    context = workplace.claim(Queue.GENERATION)
    assert context.attempt == sleeper.attempt + 1
    task.run(context)
    made = takes_of(workplace, number)
    workplace_takes = {take.midi_key: workplace.store.read(take.midi_key) for take in made}
    # The sleeper wakes as if it had looked at the rows before the other began.
    with workplace.database.transaction() as session:
        for take in session.scalars(select(Take).where(Take.index < 3)):
            session.delete(take)
    with pytest.raises(SupersededError):
        task.run(sleeper)
    assert [take.index for take in takes_of(workplace, number)] == [3, 4, 5, 6, 7]
    assert {key: workplace.store.read(key) for key in workplace_takes} == workplace_takes
    assert workplace.generation_row(number).takes_done == 8


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
    stored = takes_of(workplace, number)
    assert calls == 2
    assert len(stored) == workplace.generation_row(number).takes_done > 0
    task.run(context)
    assert [take.index for take in takes_of(workplace, number)] == list(range(48))
    assert workplace.generation_row(number).takes_done == 48


def test_finished_takes_are_seen_while_others_are_made(
    sqlite_workplace: Any, tiny_lstm: bytes, monkeypatch: Any
) -> None:
    number = sqlite_workplace.generation(sqlite_workplace.model(tiny_lstm), seeds="0-1", length=20)
    context = sqlite_workplace.claim(Queue.GENERATION)
    seen: list[int] = []

    def slow(self: Composer, requests: Any, settings: Any, primer: Any, on_take: Any, interrupted: Any) -> None:
        note = Notes.of([0.0], [0.5], [60], [64])
        on_take(0, note)
        until = time.monotonic() + 2
        # The second take is long in coming; the first shall be seen meanwhile, within half a second.
        while not seen and time.monotonic() < until:
            assert not interrupted()
            seen.extend(take.index for take in takes_of(sqlite_workplace, number))
        assert time.monotonic() < until - 1.4
        on_take(1, note)

    monkeypatch.setattr(Composer, "compose", slow)
    task.run(context)
    assert seen == [0]
    assert len(takes_of(sqlite_workplace, number)) == 2


def test_what_is_missing_is_named(workplace: Any, tiny_lstm: bytes) -> None:
    model = workplace.model(tiny_lstm)
    first = workplace.generation(model, seeds="0", length=20)
    second = workplace.generation(model, seeds="1", length=20)
    with workplace.database.transaction() as session:
        session.delete(session.get_one(Model, model))  # as if it had gone in spite of all locks
    context = workplace.claim(Queue.GENERATION)
    with pytest.raises(ConflictError, match="'tiny' was deleted; upload it again"):
        task.run(context)
    # Uploaded again it has another number and the same content.
    upload_model(workplace.database, workplace.store, tiny_lstm, name="back")
    task.run(context)
    workplace.finish(context)
    assert len(takes_of(workplace, first)) == 1
    context = workplace.claim(Queue.GENERATION)
    with workplace.database.transaction() as session:
        session.delete(workplace.generation_row(second))
    with pytest.raises(NotFoundError, match=f"no generation {second}"):
        task.run(context)


def test_a_finished_tile_needs_no_model(sqlite_workplace: Any, tiny_lstm: bytes) -> None:
    model = sqlite_workplace.model(tiny_lstm)
    number = sqlite_workplace.generation(model, seeds="0-3", length=20)
    context = sqlite_workplace.claim(Queue.GENERATION)
    task.run(context)
    with sqlite_workplace.database.transaction() as session:
        session.delete(session.get_one(Model, model))
    task.run(context)  # killed after the last take: the next attempt only has to say so
    assert len(takes_of(sqlite_workplace, number)) == 4


def test_a_kill_between_file_and_row_leaves_nothing_for_long(
    sqlite_workplace: Any, tiny_lstm: bytes, monkeypatch: Any
) -> None:
    number = sqlite_workplace.generation(sqlite_workplace.model(tiny_lstm), seeds="0-7", length=20)
    killed = sqlite_workplace.claim(Queue.GENERATION)
    with monkeypatch.context() as patch:
        patch.setattr(TakeWriter, "_commit", lambda self: None)
        task.run(killed)
    assert (len(take_files(sqlite_workplace, number)), takes_of(sqlite_workplace, number)) == (8, [])
    sqlite_workplace.release(killed)
    sqlite_workplace.run_all(task.run)
    takes = takes_of(sqlite_workplace, number)
    assert len(take_files(sqlite_workplace, number)) == 16
    assert sweep(sqlite_workplace.database, sqlite_workplace.store) == 0
    assert sweep(sqlite_workplace.database, sqlite_workplace.store, timedelta(0)) == 8
    assert take_files(sqlite_workplace, number) == sorted(take.midi_key for take in takes)
