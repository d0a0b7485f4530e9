"""What is plainly wrong with a take: nothing in it, one note over and over, hanging or vanishing notes, no such hands.

Real pieces are counted by the same rules, since a rule that real music breaks as often says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set

import numpy as np

from core.music.measures import find_defect
from core.music.notes import Notes

DEFECTS = {
    "empty": ("Empty", "No notes, or next to none for most of its length."),
    "stuck": ("Stuck", "One or two pitches over and over."),
    "hanging": ("Hanging note", "A note that sounds on and on, as if its release had been forgotten."),
    "zero_length": ("Vanishing notes", "More than a twentieth of the notes last 10 ms or less."),
    "unplayable": ("Unplayable", "Struck at once: more than two hands with five fingers and a tenth each can reach."),
}
"""Name to (title, rule)."""

HANGING_SECONDS = 15.0
"""A note that lasts so long hangs, or one that lasts as long as the takes' limit lets any, where that is shorter."""
# Who limits notes to less wants short ones: reaching that limit says nothing of a forgotten release.
_LEAST_HANGING_SECONDS = 5.0
# A limit is kept in ticks of 10 ms, which a tempo of 0.25 stretches to 40, and stored in ticks of MIDI.
_ROUNDING_SECONDS = 0.025
_ZERO_SECONDS = 0.0101
_LARGEST_ZERO_SHARE = 0.05
_TOGETHER_SECONDS = 0.02
_HAND_SEMITONES = 16
_FINGERS = 5


def hanging_from(longest_note_seconds: float | None) -> float | None:
    """From how many seconds on a note hangs, in takes whose notes were ended at `longest_note_seconds`.

    A release that a model forgets shows as a note that only the limit ended, so the limit is what counts where it is
    below 15 s. None where it is below 5 s, so that nothing can be said; None as the limit means that there was none.
    """
    if longest_note_seconds is None:
        return HANGING_SECONDS
    return None if longest_note_seconds < _LEAST_HANGING_SECONDS else min(HANGING_SECONDS, longest_note_seconds)


def defects_of(notes: Notes, hanging_seconds: float | None = HANGING_SECONDS) -> set[str]:
    """The names of `DEFECTS` that a piece has; `hanging_seconds` as `hanging_from` gives it."""
    plain = find_defect(notes)
    found = {"silent": {"empty"}, "stuck": {"stuck"}}.get(plain, set())
    if len(notes):
        if hanging_seconds is not None and notes.duration_seconds.max() >= hanging_seconds - _ROUNDING_SECONDS:
            found.add("hanging")
        if (notes.duration_seconds <= _ZERO_SECONDS).mean() > _LARGEST_ZERO_SHARE:
            found.add("zero_length")
        if _has_unplayable_chord(notes):
            found.add("unplayable")
    return found


def per_thousand(each: Sequence[Set[str]], hanging_seconds: float | None = HANGING_SECONDS) -> dict[str, float]:
    """How many of a thousand pieces have each defect, and `any` of them; NaN of no pieces, or where nothing is said.

    Args:
        each: what `defects_of` found in each piece.
        hanging_seconds: as `hanging_from` gives it.
    """
    counts = {name: sum(name in found for found in each) for name in DEFECTS}
    counts["any"] = sum(bool(found) for found in each)
    figures = {name: 1000 * count / len(each) if each else float("nan") for name, count in counts.items()}
    return figures if hanging_seconds is not None else {**figures, "hanging": float("nan")}


def likely_range(count: float, pieces: int) -> tuple[float, float]:
    """Between what a count in a thousand lies, with 95 % confidence, when so many pieces gave it.

    The score interval of E. B. Wilson (1927), which holds for few pieces and for counts of none too.

    Args:
        count: in a thousand, as `per_thousand` gives it.
        pieces: 1 or more.
    """
    share, z = count / 1000, 1.96
    middle = share + z**2 / (2 * pieces)
    half = z * math.sqrt(share * (1 - share) / pieces + (z / (2 * pieces)) ** 2)
    low, high = ((middle + sign * half) / (1 + z**2 / pieces) for sign in (-1, 1))
    return max(0.0, 1000 * low), min(1000.0, 1000 * high)


def _has_unplayable_chord(notes: Notes) -> bool:
    opens = np.concatenate(([True], np.diff(notes.onset_seconds) > _TOGETHER_SECONDS))
    firsts = np.flatnonzero(opens)
    lengths = np.diff(np.append(firsts, len(notes)))
    spans = np.maximum.reduceat(notes.pitch, firsts).astype(int) - np.minimum.reduceat(notes.pitch, firsts)
    # Only these can be out of reach, and they are few.
    suspects = np.flatnonzero((lengths > _FINGERS) | (spans > _HAND_SEMITONES))
    return any(not _playable(np.unique(notes.pitch[firsts[at] : firsts[at] + lengths[at]])) for at in suspects)


def _playable(pitches: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> bool:
    """Whether a left hand takes the lower and a right hand the upper of ascending pitches, at some point between."""
    count, values = len(pitches), pitches.astype(int)
    return any(
        (cut == 0 or values[cut - 1] - values[0] <= _HAND_SEMITONES)
        and (cut == count or values[-1] - values[cut] <= _HAND_SEMITONES)
        for cut in range(max(0, count - _FINGERS), min(count, _FINGERS) + 1)
    )
