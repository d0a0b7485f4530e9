from __future__ import annotations

import bisect

import numpy as np
import pytest

from core.datasets.statistics import HISTOGRAMS, TIME_EDGES_SECONDS, PieceTotals, count_notes, summarise
from core.music.notes import Notes


def test_histograms_equal_a_plain_count() -> None:
    random = np.random.default_rng(1)
    onset = np.sort(random.exponential(5, 500)) * random.integers(0, 2, 500)
    notes = Notes.of(onset, random.exponential(1, 500), random.integers(0, 128, 500), random.integers(1, 128, 500))
    counts = count_notes(notes)
    edges = TIME_EDGES_SECONDS.tolist()
    steps = [after - before for before, after in zip(notes.onset_seconds[:-1], notes.onset_seconds[1:], strict=True)]
    expected = {
        "pitch": [notes.pitch.tolist().count(pitch) for pitch in range(128)],
        "velocity": [notes.velocity.tolist().count(velocity) for velocity in range(128)],
        "step_seconds": np.bincount([bisect.bisect_right(edges, step) - 1 for step in steps], minlength=52).tolist(),
        "duration_seconds": np.bincount(
            [bisect.bisect_right(edges, value) - 1 for value in notes.duration_seconds], minlength=52
        ).tolist(),
    }
    assert {name: counts[name].tolist() for name in HISTOGRAMS} == expected


def test_few_notes_and_long_times_are_counted() -> None:
    assert all(count.sum() == 0 for count in count_notes(Notes.empty()).values())
    counts = count_notes(Notes.of([0.0, 1e5], [0.0, 1e5], [0, 127], [1, 127]))
    assert counts["step_seconds"][-1] == 1
    assert counts["duration_seconds"].tolist()[0] == counts["duration_seconds"].tolist()[-1] == 1


def test_totals_are_by_split() -> None:
    pieces = [PieceTotals("train", 10, 40, 5.0), PieceTotals("train", 1, 4, 0.5), PieceTotals("test", 2, 8, 1.0)]
    empty = {name: np.zeros(bins, np.int64) for name, bins in HISTOGRAMS.items()}
    statistics = summarise(pieces, empty)
    assert statistics["splits"]["train"] == {
        "pieces": 2,
        "notes": 11,
        "events": 44,
        "longest_events": 40,
        "seconds": pytest.approx(5.5),
    }
    assert statistics["splits"]["validation"]["pieces"] == 0
    times = statistics["histograms"]["step_seconds"]
    assert len(times["edges"]) == len(times["counts"]) == HISTOGRAMS["step_seconds"]
