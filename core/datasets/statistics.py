"""Distributions and totals of a dataset, small enough for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.corpus import SPLITS, Split
from core.music.notes import PITCH_COUNT, Notes

# From 1 ms to 100 s, ten to a decade; the first bin holds what is shorter (the notes of a chord), the last the rest.
TIME_EDGES_SECONDS: NDArray[np.float64] = np.concatenate(([0.0], np.logspace(-3, 2, 51)))
HISTOGRAMS = {
    "pitch": PITCH_COUNT,
    "velocity": PITCH_COUNT,
    "step_seconds": len(TIME_EDGES_SECONDS),
    "duration_seconds": len(TIME_EDGES_SECONDS),
}
"""The distributions and their numbers of bins."""


@dataclass(frozen=True, slots=True)
class PieceTotals:
    """What one piece adds to its split's totals."""

    split: Split
    notes: int
    events: int
    seconds: float


def count_notes(notes: Notes) -> dict[str, NDArray[np.int64]]:
    """The four histograms of a piece, int64 `[HISTOGRAMS[name]]` each; those of many pieces are summed.

    The first note's step (the silence before the music) is not counted.
    """
    return {
        "pitch": np.bincount(notes.pitch, minlength=PITCH_COUNT),
        "velocity": np.bincount(notes.velocity, minlength=PITCH_COUNT),
        "step_seconds": _count_times(np.diff(notes.onset_seconds)),
        "duration_seconds": _count_times(notes.duration_seconds),
    }


def summarise(pieces: Sequence[PieceTotals], counts: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
    """The statistics of a dataset as JSON.

    Returns:
        "splits": for each split "pieces", "notes", "events" (of the performance encoding, begin and end not counted),
        "longest_events" (those of the piece with the most) and "seconds"; "histograms": for each name of `HISTOGRAMS`
        its "counts", and "edges" where the bins are times: bin i spans `edges[i]` to `edges[i + 1]`, the last has no
        end.
    """
    splits = {}
    for split in SPLITS:
        own = [piece for piece in pieces if piece.split == split]
        splits[split] = {
            "pieces": len(own),
            "notes": sum(piece.notes for piece in own),
            "events": sum(piece.events for piece in own),
            "longest_events": max((piece.events for piece in own), default=0),
            "seconds": round(sum(piece.seconds for piece in own), 3),
        }
    histograms: dict[str, Any] = {name: {"counts": counts[name].tolist()} for name in HISTOGRAMS}
    edges = [float(f"{edge:.4g}") for edge in TIME_EDGES_SECONDS]
    for name in ("step_seconds", "duration_seconds"):
        histograms[name]["edges"] = edges
    return {"splits": splits, "histograms": histograms}


def _count_times(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    bins = np.searchsorted(TIME_EDGES_SECONDS, seconds, side="right") - 1
    return np.bincount(np.maximum(bins, 0), minlength=len(TIME_EDGES_SECONDS))
