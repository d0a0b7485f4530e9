"""MusPy's measures of a piece, computed at once over its columns; where they need steps or bars, on a stated grid.

Definitions: H.-W. Dong, K. Chen, J. McAuley, T. Berg-Kirkpatrick, "MusPy: A Toolkit for Symbolic Music Generation",
ISMIR 2020, and the code of its version 0.5.0. Performances carry no bars: the grid has 24 steps to a beat of half a
second and four beats to a bar, as if everything were played at 120 beats a minute. What a bar-based measure says of one
piece therefore means little; what it says of takes beside real pieces measured on the same grid does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.music.notes import PITCH_COUNT, Notes
from core.music.pitch_classes import entropy_bits, pitch_class_counts, scale_consistency

STEPS_PER_BEAT = 24
BEATS_PER_SECOND = 2
BEATS_PER_BAR = 4


def muspy_measures(notes: Notes) -> dict[str, float]:
    """Name to figure; NaN where MusPy gives NaN (no notes, or fewer than two bars for `groove_consistency`).

    Returns:
        `n_pitches_used`, `n_pitch_classes_used`, `pitch_range` (semitones), `pitch_entropy` and `pitch_class_entropy`
        (bits), `scale_consistency`, `polyphony`, `polyphony_rate` (share of steps in which more than two pitches
        sound, as MusPy's code has it), `empty_beat_rate`, `groove_consistency` (shares).
    """
    if not len(notes):
        counts = dict.fromkeys(("n_pitches_used", "n_pitch_classes_used", "pitch_range"), 0.0)
        names = ("pitch_entropy", "pitch_class_entropy", "scale_consistency", "polyphony", "polyphony_rate")
        return {**counts, **dict.fromkeys((*names, "empty_beat_rate", "groove_consistency"), float("nan"))}
    pitches = np.bincount(notes.pitch, minlength=PITCH_COUNT)
    classes = pitch_class_counts(pitches)
    used = np.flatnonzero(pitches)
    onset, end = grid_steps(notes)
    sounding = _sounding(onset, end, notes.pitch)
    return {
        "n_pitches_used": float(len(used)),
        "n_pitch_classes_used": float(np.count_nonzero(classes)),
        "pitch_range": float(used[-1] - used[0]),
        "pitch_entropy": entropy_bits(pitches),
        "pitch_class_entropy": entropy_bits(classes),
        "scale_consistency": scale_consistency(classes),
        "polyphony": float(sounding.sum() / np.count_nonzero(sounding)),
        "polyphony_rate": float(np.count_nonzero(sounding > 2) / len(sounding)),
        "empty_beat_rate": _empty_beat_rate(onset, end),
        "groove_consistency": _groove_consistency(onset, end),
    }


def grid_steps(notes: Notes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Onsets and ends on the grid, int64 `[n]` each; every note lasts at least one step."""
    steps_per_second = STEPS_PER_BEAT * BEATS_PER_SECOND
    onset = np.rint(notes.onset_seconds * steps_per_second).astype(np.int64)
    end = np.rint((notes.onset_seconds + notes.duration_seconds) * steps_per_second).astype(np.int64)
    return onset, np.maximum(end, onset + 1)


def _sounding(onset: NDArray[np.int64], end: NDArray[np.int64], pitch: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many different pitches sound in each step; a pitch that is held twice at once counts once."""
    length = int(end.max())
    # Laid one pitch after the other on one line, the pitches cannot overlap each other.
    shift = pitch.astype(np.int64) * (length + 1)
    order = np.argsort(onset + shift, kind="stable")
    starts, reached = (onset + shift)[order], np.maximum.accumulate((end + shift)[order])
    opens = np.concatenate(([True], starts[1:] > reached[:-1]))
    closes = np.concatenate((opens[1:], [True]))
    first, last = starts[opens] - shift[order][opens], reached[closes] - shift[order][closes]
    changes = np.bincount(first, minlength=length + 1) - np.bincount(last, minlength=length + 1)
    return np.cumsum(changes)[:length]


def _empty_beat_rate(onset: NDArray[np.int64], end: NDArray[np.int64]) -> float:
    beats = int(end.max()) // STEPS_PER_BEAT + 1
    first, last = onset // STEPS_PER_BEAT, end // STEPS_PER_BEAT
    covered = np.cumsum(np.bincount(first, minlength=beats + 1) - np.bincount(last + 1, minlength=beats + 1))
    return float(1 - np.count_nonzero(covered[:beats]) / beats)


def _groove_consistency(onset: NDArray[np.int64], end: NDArray[np.int64]) -> float:
    resolution = STEPS_PER_BEAT * BEATS_PER_BAR
    bars = int(end.max()) // resolution + 1
    if bars < 2:
        return float("nan")
    struck = np.zeros((bars, resolution), bool)
    struck[onset // resolution, onset % resolution] = True
    return float(1 - np.count_nonzero(struck[:-1] != struck[1:]) / (resolution * (bars - 1)))
