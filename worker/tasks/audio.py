"""Rendering one take as audio."""

from __future__ import annotations

from sqlalchemy import select

from core.audio.rendering import encode_mp3, render_wav
from core.errors import ConflictError
from core.models.generations import Take
from core.records.database import announce
from core.services.takes import audio_key, get_take
from worker.unit_context import UnitContext


def run(context: UnitContext) -> None:
    """Render the take of the unit's payload in the wanted format and store it under its music's digest.

    Raises:
        NotFoundError, ConflictError: the take was deleted.
        UnitInterrupted: the unit shall stop.
    """
    extension = str(context.payload["format"])
    with context.database.reading() as session:
        take = get_take(session, int(context.payload["take_id"]))
    key = audio_key(take, extension)
    if not context.store.exists(key):
        context.progress(phase="rendering", done=0, total=take.seconds, unit="s")
        wav = render_wav(context.store.read(take.midi_key))
        context.check()
        context.store.write(key, encode_mp3(wav) if extension == "mp3" else wav)
    context.progress(done=take.seconds, total=take.seconds, unit="s")
    with context.transaction() as session:
        wanted = session.scalar(select(Take.id).where(Take.sha256 == take.sha256).limit(1)) is not None
        context.mark_progressed(session)
        announce(session, f"take:{take.id}")
    if not wanted:
        context.store.delete(key)
        raise ConflictError(f"Take {take.id} was deleted while its audio was made.")
