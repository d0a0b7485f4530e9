"""Measures against counts over a grid of time, and marks against real music and plain nonsense."""

from __future__ import annotations

import math
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.music.measures import find_defect, measure
from core.music.notes import Notes
from core.music.reading import read_midi


def every(step, pitches, velocity=80):
    count = len(pitches)
    return Notes.of(np.arange(count) * step, np.full(count, step), pitches, np.full(count, velocity))


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(55, 70), st.integers(1, 127)),
        min_size=1,
        max_size=25,
    )
)
def test_measures_are_those_of_a_grid_of_time_steps(rows):
    onset, length, pitch, velocity = np.array(rows).T
    figures = measure(Notes.of(onset / 4, length / 4, pitch, velocity))
    roll = np.zeros((128, int((onset + length).max())), bool)
    for start, steps, row, _ in rows:
        roll[row, start : start + steps] = True
    sounding = roll.any(axis=0)
    assert figures.polyphony == pytest.approx(roll.sum() / sounding.sum())
    longest = max(len(gap) for gap in "".join("x" if any_ else "." for any_ in sounding).split("x"))
    assert figures.longest_silence_seconds == pytest.approx(longest / 4)
    counts = [int((pitch % 12 == pitch_class).sum()) for pitch_class in range(12)]
    shares = [count / len(rows) for count in counts if count]
    assert figures.pitch_class_entropy == pytest.approx(-sum(share * math.log2(share) for share in shares), abs=1e-12)
    assert figures.pitch_classes == len(shares)
    scales = [
        {(root + degree) % 12 for degree in degrees}
        for root in range(12)
        for degrees in ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
    ]
    best = max(sum(counts[pitch_class] for pitch_class in scale) / len(rows) for scale in scales)
    assert figures.scale_consistency == pytest.approx(best)
    assert figures.repeated_share == max(int((pitch == row).sum()) for row in range(128)) / len(rows)
    assert (figures.lowest_pitch, figures.highest_pitch) == (pitch.min(), pitch.max())
    assert figures.mean_velocity == pytest.approx(velocity.mean())
    assert figures.notes_per_second == pytest.approx(len(rows) / figures.seconds)


def test_no_notes_measure_zero():
    assert set(measure(Notes.empty()).as_dict().values()) == {0.0}


@pytest.mark.parametrize(
    ("notes", "defect"),
    [
        (Notes.empty(), "silent"),
        (Notes.of([0, 100], [1, 1], [60, 62], [80, 80]), "silent"),
        (Notes.of([*np.arange(10), 60], [1] * 11, range(60, 71), [80] * 11), "silent"),
        (every(0.25, [60] * 100), "stuck"),
        (every(0.25, [60, 64] * 50), "stuck"),
        (every(0.25, [*range(60, 72), *[60] * 60]), "stuck"),
        (every(0.25, [60, 62, 64, 65, 67, 69, 71, 72] * 10), ""),
        (every(0.25, [60, 64, 67] * 30), ""),
        (every(0.5, [60] * 8), ""),
    ],
)
def test_plain_nonsense_is_marked_and_music_is_not(notes, defect):
    assert find_defect(notes) == defect


def test_real_pieces_and_their_beginnings_have_no_defect(shared_data, real_files):
    files = list(real_files.values())
    with zipfile.ZipFile(shared_data / "maestro-v3.0.0-midi-train-validation.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".midi"))
        files += [archive.read(name) for name in names[::10]]
    for data in files:
        notes = read_midi(data).notes
        assert find_defect(notes) == ""
        assert find_defect(notes[:100]) == ""
