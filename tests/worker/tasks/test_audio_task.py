"""Audio of takes: asked for, rendered once, shared by equal music."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
import soundfile
from sqlalchemy import delete

from core.errors import ConflictError, NotFoundError
from core.models.generations import Generation, Take
from core.models.jobs import Queue
from core.music.notes import Notes
from core.music.writing import write_midi
from core.services.takes import audio_key, request_audio
from worker.tasks import audio as task


def take_in(workplace: Any) -> int:
    """One short take."""
    midi = write_midi(Notes.of([0.0, 0.5], [0.5, 0.5], [60, 67], [80, 80]))
    with workplace.database.transaction() as session:
        generation = Generation(model_name="m", model_hash="ab" * 32, name="G", settings={}, takes_total=1)
        session.add(generation)
        session.flush()
        key = f"generations/{generation.id}/takes/000000-1-1.mid"
        figures = {"notes_count": 2, "seconds": 1.0, "notes_per_second": 2.0, "pitch_class_entropy": 1.0}
        more = {"polyphony": 1.0, "measures": {}, "midi_bytes": len(midi), "sha256": hashlib.sha256(midi).hexdigest()}
        take = Take(generation_id=generation.id, index=0, seed=1, temperature=1.0, midi_key=key, **figures, **more)
        session.add(take)
    workplace.store.write(key, midi)
    return take.id


@pytest.mark.parametrize("extension", ["wav", "mp3"])
def test_a_take_is_rendered_once(workplace: Any, extension: str) -> None:
    number = take_in(workplace)
    with workplace.database.transaction() as session:
        assert request_audio(session, workplace.store, number, extension) is not None
    workplace.run_all(task.run, Queue.LIGHT)
    with workplace.database.transaction() as session:
        assert request_audio(session, workplace.store, number, extension) is None
        key = audio_key(session.get_one(Take, number), extension)
    sound, rate = soundfile.read(io.BytesIO(workplace.store.read(key)))
    assert 1.0 <= len(sound) / rate < 10
    assert abs(sound).max() > 0.05


def test_a_take_that_is_gone_leaves_no_audio(sqlite_workplace: Any, monkeypatch: Any) -> None:
    number = take_in(sqlite_workplace)
    with sqlite_workplace.database.transaction() as session:
        request_audio(session, sqlite_workplace.store, number, "wav")
    context = sqlite_workplace.claim(Queue.LIGHT)
    whole = context.store.write

    def write(key: str, data: bytes) -> None:
        whole(key, data)
        with sqlite_workplace.database.transaction() as session:
            session.execute(delete(Take))

    monkeypatch.setattr(context.store, "write", write)
    with pytest.raises(ConflictError, match=f"Take {number} was deleted while"):
        task.run(context)
    assert sqlite_workplace.store.files("audio") == []
    with pytest.raises(NotFoundError, match=f"no take {number}"):
        task.run(context)
