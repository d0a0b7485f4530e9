"""Each defect in a piece that has it, and none in real music."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.evaluation.defects import DEFECTS, defects_of, hanging_from, likely_range, per_thousand
from core.music.notes import Notes
from core.music.reading import read_midi


def scale(count: int = 40, length: float = 0.3) -> Notes:
    return Notes.of(np.arange(count) * 0.3, np.full(count, length), 48 + np.arange(count) % 24, np.full(count, 70))


def with_chord(pitches: list[int]) -> Notes:
    base = scale()
    onset = np.concatenate((base.onset_seconds, np.full(len(pitches), 13.0)))
    pitch = np.concatenate((base.pitch, pitches))
    return Notes.of(onset, np.full(len(onset), 0.3), pitch, np.full(len(onset), 70))


def test_a_plain_piece_has_none():
    assert defects_of(scale()) == set()


def test_nothing_is_empty():
    assert defects_of(Notes.empty()) == {"empty"}


def test_one_note_over_and_over_is_stuck():
    count = 60
    notes = Notes.of(np.arange(count) * 0.2, np.full(count, 0.1), np.full(count, 60), np.full(count, 70))
    assert defects_of(notes) == {"stuck"}


def test_a_release_that_was_forgotten_hangs():
    base = scale(80)
    base.duration_seconds[3] = 20.0
    assert defects_of(base) == {"hanging"}


@pytest.mark.parametrize(
    ("limit", "seconds"), [(None, 15.0), (60.0, 15.0), (15.0, 15.0), (8.0, 8.0), (5.0, 5.0), (4.0, None), (0.3, None)]
)
def test_a_note_hangs_from_where_the_takes_own_limit_ended_it(limit, seconds):
    assert hanging_from(limit) == seconds
    held = scale(80)
    # As it comes back from a file that was written at a slow tempo.
    held.duration_seconds[3] = (seconds or 14.9) - 0.02
    assert defects_of(held, seconds) == (set() if seconds is None else {"hanging"})
    held.duration_seconds[3] = (seconds or 14.9) - 0.1
    assert defects_of(held, seconds) == set()
    assert np.isnan(per_thousand([defects_of(held, seconds)], seconds)["hanging"]) == (seconds is None)


def test_notes_that_vanish():
    base = scale()
    base.duration_seconds[:4] = 0.01
    assert defects_of(base) == {"zero_length"}


@pytest.mark.parametrize(
    ("pitches", "playable"),
    [
        ([36, 43, 48, 60, 64, 67, 72], True),
        ([30, 46, 62, 78], True),
        ([24, 48, 72], False),
        ([60, 61, 62, 63, 64, 65, 66, 67, 68, 69], True),
        ([60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70], False),
        ([36, 40, 43, 46, 48, 50, 72], False),
    ],
)
def test_what_two_hands_can_reach(pitches, playable):
    assert ("unplayable" not in defects_of(with_chord(pitches))) == playable


def test_pieces_are_counted_by_the_thousand():
    counts = per_thousand([defects_of(piece) for piece in (scale(), Notes.empty(), with_chord([24, 48, 72]), scale())])
    assert counts == {**dict.fromkeys(DEFECTS, 0.0), "empty": 250.0, "unplayable": 250.0, "any": 500.0}
    assert np.isnan(per_thousand([])["any"])


def test_real_pieces_hardly_ever_have_one(shared_data: Path):
    with zipfile.ZipFile(shared_data / "vienna4x22-midi.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".mid"))
        counts = per_thousand([defects_of(read_midi(archive.read(name)).notes) for name in names])
    assert counts["any"] < 50


@pytest.mark.parametrize(("count", "pieces"), [(28, 64), (0, 64), (64, 64), (1, 1), (250, 1000)])
def test_a_count_of_few_takes_is_known_to_lie_in_a_range(count: int, pieces: int) -> None:
    low, high = likely_range(1000 * count / pieces, pieces)
    assert 0 <= low <= 1000 * count / pieces <= high <= 1000
    # Wilson's definition: the true counts from which the one that was seen is 1.96 standard deviations away.
    for true in (low / 1000, high / 1000):
        deviations = abs(count / pieces - true) / np.sqrt(true * (1 - true) / pieces) if 0 < true < 1 else 1.96
        assert deviations == pytest.approx(1.96)
