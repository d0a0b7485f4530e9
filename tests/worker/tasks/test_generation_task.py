"""Tiles composed by a tiny real model: files, rows, provenance, and what has gone meanwhile."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import mido
import numpy as np
import pretty_midi
import pytest

from core.datasets.corpus import Corpus
from core.errors import CheckpointError, ConflictError, NotFoundError
from core.modeling import archive
from core.models.jobs import JobState, Queue
from core.models.trainings import Model
from core.music.measures import find_defect, measure
from core.music.provenance import read_provenance
from core.music.reading import read_midi
from core.sampling.facts import SAMPLER_VERSION
from core.services.models import upload_model
from core.services.primers import PrimerChoice
from core.services.ready import add_ready_model
from core.services.uploads import save_upload
from worker.tasks import generation as task

pytestmark = pytest.mark.slow


def test_takes_are_stored_as_their_rows_say(workplace: Any, tiny_lstm: bytes) -> None:
    number = workplace.generation(
        workplace.model(tiny_lstm), seeds="3-12", temperatures="0.8,1.1", length=30, program=6
    )
    context = workplace.claim(Queue.GENERATION)
    task.run(context)
    job = workplace.finish(context)

    takes = workplace.takes(number)
    assert job.state is JobState.SUCCEEDED
    assert workplace.generation_row(number).takes_done == len(takes) == 20
    assert [(take.seed, take.temperature) for take in takes] == [(s, t) for t in (0.8, 1.1) for s in range(3, 13)]
    assert workplace.take_files(number) == sorted(take.midi_key for take in takes)
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


def test_the_shipped_model_composes(sqlite_workplace: Any) -> None:
    workplace = sqlite_workplace
    model, _ = add_ready_model(workplace.database, workplace.store)
    number = workplace.generation(model.id, seeds="0-7", length=60)
    context = workplace.claim(Queue.GENERATION)
    task.run(context)
    assert workplace.finish(context).state is JobState.SUCCEEDED
    assert [(take.notes_count, take.defect) for take in workplace.takes(number)] == [(60, "")] * 8


def test_a_length_in_seconds_is_exact(sqlite_workplace: Any, tiny_lstm: bytes) -> None:
    model = sqlite_workplace.model(tiny_lstm)
    number = sqlite_workplace.generation(model, seeds="0-3", length_unit="seconds", length=7.5, tempo_factor=1.7)
    sqlite_workplace.run_all(task.run)
    for take in sqlite_workplace.takes(number):
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
    for take in sqlite_workplace.takes(number):
        data = sqlite_workplace.store.read(take.midi_key)
        assert len(read_midi(data).notes) == take.notes_count == 40
        assert read_provenance(data).settings["primer"] == row.settings["primer"]


def test_takes_continue_an_uploaded_file(sqlite_workplace: Any, tiny_lstm: bytes) -> None:
    workplace = sqlite_workplace
    played = mido.MidiFile(ticks_per_beat=500)  # a tick is a millisecond
    track = mido.MidiTrack()
    played.tracks.append(track)
    for pitch in (60, 64, 67, 72, 76, 79):
        track.append(mido.Message("note_on", note=pitch, velocity=70, time=100))
        track.append(mido.Message("note_off", note=pitch, time=300))
    sent = io.BytesIO()
    played.save(file=sent)
    sent.seek(0)
    upload = save_upload(workplace.database, workplace.store, sent, "mine.mid", "local", 10**6)
    number = workplace.generation(
        workplace.model(tiny_lstm),
        primer=PrimerChoice(kind="upload", upload_id=upload.id, notes=4),
        seeds="0-2",
        length=20,
        join_primer=True,
    )
    workplace.run_all(task.run)
    takes = workplace.takes(number)
    assert [take.notes_count for take in takes] == [24] * 3
    assert len({take.sha256 for take in takes}) == 3
    for take in takes:
        notes = read_midi(workplace.store.read(take.midi_key)).notes
        assert notes.pitch[:4].tolist() == [60, 64, 67, 72]
        assert np.diff(notes.onset_seconds[:4]) == pytest.approx(0.4, abs=0.011)
        assert notes.onset_seconds[4] >= notes.onset_seconds[3]


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
    assert len(workplace.takes(first)) == 1
    context = workplace.claim(Queue.GENERATION)
    with workplace.database.transaction() as session:
        session.delete(workplace.generation_row(second))
    with pytest.raises(NotFoundError, match=f"no generation {second}"):
        task.run(context)


def _another_format(data: bytes) -> bytes:
    document, arrays = archive.unpack(data)
    return archive.pack({**document, "format": 2}, arrays)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda data: data[: len(data) // 2], "no checkpoint, or is damaged"), (_another_format, "is of format 2; this")],
)
@pytest.mark.parametrize(
    ("origin", "advice"), [("trained", "or train it again"), ("uploaded", "or delete the model and add it again")]
)
def test_a_stored_checkpoint_that_cannot_be_used_is_told(
    sqlite_workplace: Any, tiny_lstm: bytes, spoil: Any, words: str, origin: str, advice: str
) -> None:
    workplace = sqlite_workplace
    number = workplace.model(tiny_lstm)
    workplace.generation(number, seeds="0", length=20)
    with workplace.database.transaction() as session:
        model = session.get_one(Model, number)
        model.origin, model.content_hash = origin, "0" * 64  # none that this process has loaded
    workplace.store.write(model.checkpoint_key, spoil(tiny_lstm))
    with pytest.raises(CheckpointError, match="The stored file of the model 'tiny' cannot be used") as raised:
        task.run(workplace.claim(Queue.GENERATION))
    assert words in str(raised.value)
    assert str(raised.value).endswith(f"Restore {model.checkpoint_key} from a backup, {advice}.")


def test_a_finished_tile_needs_no_model(sqlite_workplace: Any, tiny_lstm: bytes) -> None:
    model = sqlite_workplace.model(tiny_lstm)
    number = sqlite_workplace.generation(model, seeds="0-3", length=20)
    context = sqlite_workplace.claim(Queue.GENERATION)
    task.run(context)
    with sqlite_workplace.database.transaction() as session:
        session.delete(session.get_one(Model, model))
    task.run(context)  # killed after the last take: the next attempt only has to say so
    assert len(sqlite_workplace.takes(number)) == 4
