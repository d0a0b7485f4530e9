"""The music that benchmarks work on: MAESTRO where it lies beside the checkout, made-up pieces elsewhere."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.music.notes import Notes
from core.music.writing import write_midi

DATA_VARIABLE = "CADENZA_BENCH_DATA"
_ZIP_NAME = "maestro-v3.0.0-midi-train-validation.zip"
_MADE_UP_FILES = 200
_MADE_UP_NOTES = 5_700  # the mean of MAESTRO


@dataclass(frozen=True, slots=True)
class Music:
    """A zip of MIDI files.

    Attributes:
        name: what it is, in words.
        zip_bytes: the whole zip.
        is_maestro: whether it is MAESTRO with its table of splits, and not made up.
    """

    name: str
    zip_bytes: bytes
    is_maestro: bool = False

    def files(self, count: int = 0) -> list[bytes]:
        """`count` of the MIDI files, evenly spread over all of them and always the same; 0 gives all."""
        with zipfile.ZipFile(io.BytesIO(self.zip_bytes)) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith((".mid", ".midi")))
            chosen = names if not count else [names[k * len(names) // count] for k in range(min(count, len(names)))]
            return [archive.read(name) for name in chosen]


def find_music() -> Music:
    """MAESTRO from the folder that `CADENZA_BENCH_DATA` names, or from `../shared/data` beside the checkout.

    Without it, made-up pieces of the same mean length; the name says so.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get(DATA_VARIABLE) or beside) / _ZIP_NAME
    if path.is_file():
        return Music("MAESTRO v3.0.0, training and validation files", path.read_bytes(), True)
    return Music(f"made up, since there is no {_ZIP_NAME} here", _made_up_zip())


def made_up_piece(seed: int, count: int = _MADE_UP_NOTES) -> Notes:
    """Notes of a wandering kind, about ten a second."""
    generator = np.random.default_rng(seed)
    onsets = np.cumsum(generator.exponential(0.1, count))
    pitches = np.clip(60 + np.cumsum(generator.integers(-4, 5, count)) % 40 - 20, 21, 108)
    return Notes.of(onsets, generator.exponential(0.3, count) + 0.05, pitches, generator.integers(20, 110, count))


def _made_up_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for seed in range(_MADE_UP_FILES):
            archive.writestr(f"made-up/{seed:04d}.midi", write_midi(made_up_piece(seed)))
    return buffer.getvalue()
