"""What is compared between takes and real pieces: one number or one distribution for each piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import muspy_measures
from core.music.notes import Notes

_CHORD_SECONDS = 0.03
# Edges in seconds, about a third of an octave apart around the values that music uses.
_TIME_EDGES = np.array([0.03, 0.06, 0.09, 0.125, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0])
_TIME_CLASSES = len(_TIME_EDGES) + 1


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that is measured of every piece.

    Attributes:
        name: as results name it.
        title: as tables name it.
        help: one sentence.
        unit: of a number; empty for shares and counts.
        vector: whether it is a distribution rather than one number.
    """

    name: str
    title: str
    help: str
    unit: str = ""
    vector: bool = False


FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature("n_pitches_used", "Pitches used", "Different pitches (MusPy)."),
        Feature("n_pitch_classes_used", "Pitch classes used", "Different pitch classes, 1 to 12 (MusPy)."),
        Feature("pitch_range", "Pitch range", "From the lowest to the highest note (MusPy).", "semitones"),
        Feature("pitch_entropy", "Pitch entropy", "Entropy of the pitches (MusPy).", "bits"),
        Feature("pitch_class_entropy", "Pitch-class entropy", "Entropy of the pitch classes (MusPy).", "bits"),
        Feature("scale_consistency", "Scale consistency", "Largest share of notes in one scale (MusPy)."),
        Feature("polyphony", "Polyphony", "Pitches that sound while any does (MusPy).", "pitches"),
        Feature("polyphony_rate", "Polyphony rate", "Share of time in which more than two pitches sound (MusPy)."),
        Feature("empty_beat_rate", "Empty beats", "Share of half seconds without a note (MusPy, at 120 a minute)."),
        Feature(
            "groove_consistency", "Groove consistency", "How alike successive two seconds are (MusPy, at 120 a minute)."
        ),
        Feature("notes_per_second", "Notes per second", "How dense it is.", "1/s"),
        Feature("mean_interval", "Mean interval", "Between one note and the next, up or down.", "semitones"),
        Feature("mean_inter_onset", "Mean inter-onset time", "Between one note or chord and the next.", "s"),
        Feature("mean_note_length", "Mean note length", "How long a note sounds.", "s"),
        Feature("mean_velocity", "Mean velocity", "Loudness, 1 to 127."),
        Feature("pitch_class_histogram", "Pitch-class histogram", "Share of each pitch class.", vector=True),
        Feature("pitch_class_transitions", "Pitch-class transitions", "Which pitch class follows which.", vector=True),
        Feature("inter_onset_histogram", "Inter-onset histogram", "Which times lie between onsets.", vector=True),
        Feature("note_length_histogram", "Note-length histogram", "Which lengths notes have.", vector=True),
        Feature("note_length_transitions", "Note-length transitions", "Which length follows which.", vector=True),
    )
}
"""Those of L.-C. Yang and A. Lerch, "On the evaluation of generative models in music", Neural Computing and
Applications 32, 2020, that need no bars, and MusPy's on its stated grid; in the order of tables.

Theirs for each bar (pitches, pitch classes and notes in a bar) are left out. Where they count lengths in parts of a
bar, these are seconds in 14 classes; their note count is a rate, since takes are asked for a number of notes.
"""


def features_of(notes: Notes) -> dict[str, NDArray[np.float64]]:
    """Each of `FEATURES` as a float64 vector, `[1]` for a number; NaN where it says nothing of this piece."""
    numbers = muspy_measures(notes)
    onsets = _separate_onsets(notes.onset_seconds)
    gaps = np.diff(onsets)
    seconds = notes.end_seconds
    intervals = np.abs(np.diff(notes.pitch.astype(np.int64)))
    numbers.update(
        notes_per_second=len(notes) / seconds if seconds else np.nan,
        mean_interval=_mean(intervals),
        mean_inter_onset=_mean(gaps),
        mean_note_length=_mean(notes.duration_seconds),
        mean_velocity=_mean(notes.velocity),
    )
    classes = notes.pitch.astype(np.int64) % 12
    lengths = np.searchsorted(_TIME_EDGES, notes.duration_seconds, side="right")
    vectors = {
        "pitch_class_histogram": np.bincount(classes, minlength=12),
        "pitch_class_transitions": _transitions(classes, 12),
        "inter_onset_histogram": np.bincount(np.searchsorted(_TIME_EDGES, gaps, side="right"), minlength=_TIME_CLASSES),
        "note_length_histogram": np.bincount(lengths, minlength=_TIME_CLASSES),
        "note_length_transitions": _transitions(lengths, _TIME_CLASSES),
    }
    shares = {name: counts / counts.sum() if counts.sum() else counts * np.nan for name, counts in vectors.items()}
    return {name: np.atleast_1d(np.asarray(shares.get(name, numbers.get(name)), np.float64)) for name in FEATURES}


def table_of(rows: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """What `features_of` gave of many pieces, one below the other: each of `FEATURES`, float64 `[pieces, size]`."""
    return {name: np.stack([row[name] for row in rows]) if rows else np.zeros((0, 1)) for name in FEATURES}


def _separate_onsets(onset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Onsets that are not part of the chord before: those more than 30 ms after the last note."""
    return onset[np.concatenate(([True], np.diff(onset) > _CHORD_SECONDS))] if len(onset) else onset


def _transitions(classes: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How often each class follows each, int64 `[size * size]`; the class before chooses the row."""
    return np.bincount(classes[:-1] * size + classes[1:], minlength=size * size)


def _mean(values: NDArray[np.generic]) -> float:
    return float(values.astype(np.float64).mean()) if len(values) else float("nan")
