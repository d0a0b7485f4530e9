"""The samples from which the browser's player plays: rendered once for each instrument, then kept."""

from __future__ import annotations

from threading import Lock

from flask import Blueprint, Response, abort, request

from core.artifacts import ArtifactStore
from webui.context import current_services

bp = Blueprint("instruments", __name__)

# Part of the stored name: a change of what is rendered must not find the old samples.
_VERSION = 1
_rendering = Lock()


@bp.get("/instruments/<int:program>/samples.wav")
def samples(program: int) -> Response:
    """One WAV with all sampled pitches of a General MIDI program."""
    if program > 127:
        abort(404, f"There is no instrument {program}; allowed is 0 to 127.")
    store = current_services().store
    response = Response(_samples(store, program), mimetype="audio/wav")
    response.set_etag(f"{_VERSION}-{program}")
    response.headers["Cache-Control"] = "public, max-age=604800"
    response.make_conditional(request)
    return response


def _samples(store: ArtifactStore, program: int) -> bytes:
    key = f"instruments/{_VERSION}/{program}.wav"
    if not store.exists(key):
        # One at a time: several pages that open together must not render the same instrument several times.
        with _rendering:
            if not store.exists(key):
                from core.audio.instrument_samples import render_instrument_samples  # loads the synthesiser

                store.write(key, render_instrument_samples(program))
    return store.read(key)
