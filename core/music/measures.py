"""Figures about a piece, with MusPy's definitions where it has one, and marks for output that is no music."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.music.notes import PITCH_COUNT, Notes
from core.music.pitch_classes import entropy_bits, pitch_class_counts, scale_consistency

Defect = Literal["", "silent", "stuck"]

_FEWEST_NOTES_PER_SECOND = 0.2
_LARGEST_SILENT_SHARE = 0.5
_SHORTEST_SILENCE_SECONDS = 4.0
_FEWEST_NOTES_TO_BE_STUCK = 16
_LARGEST_SHARE_OF_ONE = 0.7
_LARGEST_SHARE_OF_TWO = 0.92


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures about one piece; all floats, 0 where there are no notes.

    Attributes:
        notes: how many.
        seconds: end of the last note.
        notes_per_second: notes / seconds.
        lowest_pitch, highest_pitch: 0 to 127.
        pitch_classes: different pitch classes, 0 to 12.
        pitch_class_entropy: bits, 0 to 3.585; Shannon entropy of the pitch classes, each note counted once
            (MusPy `pitch_class_entropy`).
        scale_consistency: 0 to 1; the largest share of notes in any of the 24 major and natural minor scales
            (MusPy `scale_consistency`).
        polyphony: mean number of different pitches sounding while any sounds (MusPy `polyphony`, in continuous time
            instead of time steps).
        mean_velocity: 1 to 127.
        longest_silence_seconds: longest time in which nothing sounds, before the last note; the start counts.
        repeated_share: 0 to 1; the share of notes that have the commonest pitch.
    """

    notes: float = 0.0
    seconds: float = 0.0
    notes_per_second: float = 0.0
    lowest_pitch: float = 0.0
    highest_pitch: float = 0.0
    pitch_classes: float = 0.0
    pitch_class_entropy: float = 0.0
    scale_consistency: float = 0.0
    polyphony: float = 0.0
    mean_velocity: float = 0.0
    longest_silence_seconds: float = 0.0
    repeated_share: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """Name to figure, in the order above."""
        return {name: getattr(self, name) for name in self.__slots__}


def measure(notes: Notes) -> Measures:
    """All figures of a piece."""
    if not len(notes):
        return Measures()
    count, seconds = len(notes), notes.end_seconds
    pitches = np.bincount(notes.pitch, minlength=PITCH_COUNT)
    classes = pitch_class_counts(pitches)
    sounding, silence = _coverage(notes.onset_seconds, notes.duration_seconds)
    return Measures(
        notes=float(count),
        seconds=seconds,
        notes_per_second=count / seconds if seconds else 0.0,
        lowest_pitch=float(notes.pitch.min()),
        highest_pitch=float(notes.pitch.max()),
        pitch_classes=float(np.count_nonzero(classes)),
        pitch_class_entropy=entropy_bits(classes),
        scale_consistency=scale_consistency(classes),
        polyphony=_pitch_seconds(notes) / sounding if sounding else 0.0,
        mean_velocity=float(notes.velocity.mean()),
        longest_silence_seconds=silence,
        repeated_share=float(pitches.max() / count),
    )


def find_defect(notes: Notes, measures: Measures | None = None) -> Defect:
    """What is plainly wrong with a piece of a model, or ""; `measures` spares measuring the notes again.

    `silent`: no notes, fewer than one in 5 s, or nothing sounds for over half of the piece (and over 4 s) at a stretch.
    `stuck`: of at least 16 notes over 70 % have one pitch, or over 92 % have one of two. Of all MAESTRO and Vienna
    pieces at hand the furthest has 29 % and 41 %; of their first 100 notes, which may be one long trill, 63 % and 90 %.
    """
    figures = measures or measure(notes)
    if figures.notes_per_second < _FEWEST_NOTES_PER_SECOND:
        return "silent"
    if figures.longest_silence_seconds > max(_LARGEST_SILENT_SHARE * figures.seconds, _SHORTEST_SILENCE_SECONDS):
        return "silent"
    if len(notes) < _FEWEST_NOTES_TO_BE_STUCK:
        return ""
    commonest = np.sort(np.bincount(notes.pitch, minlength=PITCH_COUNT))[::-1] / len(notes)
    if commonest[0] > _LARGEST_SHARE_OF_ONE or commonest[0] + commonest[1] > _LARGEST_SHARE_OF_TWO:
        return "stuck"
    return ""


def _coverage(onset: NDArray[np.float64], duration: NDArray[np.float64]) -> tuple[float, float]:
    """Seconds in which anything sounds, and the longest gap before the last note, of onsets that ascend."""
    reached = np.concatenate(([0.0], np.maximum.accumulate(onset + duration)))
    gaps = np.maximum(onset - reached[:-1], 0.0)
    return float(reached[-1] - gaps.sum()), float(gaps.max())


def _pitch_seconds(notes: Notes) -> float:
    """Sum over pitches of the seconds in which each sounds; overlaps within a pitch count once."""
    order = np.argsort(notes.pitch, kind="stable")
    # Laid one pitch after the other on one line, the pitches cannot overlap each other.
    shift = notes.pitch[order].astype(np.float64) * (notes.end_seconds + 1.0)
    sounding, _ = _coverage(notes.onset_seconds[order] + shift, notes.duration_seconds[order])
    return sounding
