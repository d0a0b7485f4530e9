"""Overlap of distributions: alike sets, unlike sets, and the densities against their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.evaluation.excerpts import held_out_excerpts, random_music
from core.evaluation.features import FEATURES, features_of, table_of
from core.evaluation.overlap import density, distances, overlap
from core.evaluation.results import music_results
from core.music.notes import Notes


def normal(seed: int, mean: float = 0.0, size: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, (60, size))


def test_sets_of_one_kind_overlap_almost_wholly():
    found = overlap(normal(1), normal(2))
    assert found is not None
    assert found.area > 0.9
    assert found.divergence < 0.05


def test_the_farther_two_sets_are_apart_the_less_they_overlap():
    areas = [overlap(normal(1), normal(2, mean)).area for mean in (0, 1, 2, 4, 40)]
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] < 0.01
    divergences = [overlap(normal(1), normal(2, mean)).divergence for mean in (0, 1, 2, 4)]
    assert divergences == sorted(divergences)


def test_a_set_with_no_spread_is_told_from_one_that_has_some():
    area = overlap(normal(1), np.full((60, 1), 0.3)).area
    assert 0 <= area < 0.9


def test_too_few_pieces_or_no_difference_give_no_figure():
    assert overlap(normal(1)[:3], normal(2)) is None
    assert overlap(np.ones((10, 1)), np.ones((10, 1))) is None
    unusable = normal(3)
    unusable[3:] = np.nan
    assert overlap(normal(1), unusable) is None


def test_the_area_is_the_integral_of_the_lesser_density():
    first, second = normal(1, size=3), normal(2, 1.0, size=3)
    within = [math.dist(a, b) for place, a in enumerate(first) for b in first[place + 1 :]]
    between = [math.dist(a, b) for a in first for b in second]
    points = np.linspace(-2, 12, 4_000)

    def kernel(values: list[float]) -> np.ndarray:
        width = np.std(values, ddof=1) * len(values) ** -0.2
        return (
            np.mean([np.exp(-0.5 * ((points - v) / width) ** 2) for v in values], axis=0)
            / width
            / math.sqrt(2 * math.pi)
        )

    expected = np.minimum(kernel(within), kernel(between)).sum() * (points[1] - points[0])
    assert overlap(first, second).area == pytest.approx(expected, abs=2e-3)


def test_distances_and_densities_are_those_of_their_definitions():
    rows = normal(4, size=5)
    assert distances(rows, rows)[2, 7] == pytest.approx(np.linalg.norm(rows[2] - rows[7]))
    points = np.linspace(-20, 20, 5_000)
    assert density(normal(5)[:, 0], points, 0.4).sum() * (points[1] - points[0]) == pytest.approx(1, abs=1e-6)


def melody(seed: int, notes: int) -> Notes:
    """Steps within a scale, so that it differs from random notes."""
    generator = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    place = np.cumsum(generator.integers(-2, 3, notes)).clip(-10, 10) + 14
    pitch = 48 + 12 * (place // 7) + scale[place % 7]
    return Notes.of(np.cumsum(generator.choice([0.25, 0.5], notes)), np.full(notes, 0.4), pitch, np.full(notes, 70))


def test_real_excerpts_overlap_more_with_real_ones_than_random_notes_do():
    music = held_out_excerpts([melody(seed, 300) for seed in range(12)], 100, 24)
    reference, beside, noise = (
        table_of([features_of(piece) for piece in pieces])
        for pieces in (music.reference, music.beside, random_music(music.reference, 24))
    )
    for name in ("pitch_class_entropy", "mean_interval", "pitch_class_transitions"):
        real, random = overlap(reference[name], beside[name]), overlap(reference[name], noise[name])
        assert real.area > random.area + 0.1, name


def test_no_piece_is_in_both_halves_and_excerpts_of_one_do_not_overlap():
    pieces = [
        Notes.of(np.arange(250) + 0.5, np.ones(250), np.full(250, 40 + number), [64] * 250) for number in range(5)
    ]
    music = held_out_excerpts(pieces, 100, 6)
    sides = [{int(cut.pitch[0]) for cut in half} for half in (music.reference, music.beside)]
    assert not sides[0] & sides[1]
    assert all(len(cut) == 100 and cut.onset_seconds[0] == 0 for cut in music.reference + music.beside)
    assert len(music.reference) == 6
    assert len(music.beside) == 4
    assert held_out_excerpts([], 100, 6).reference == []


def test_random_music_is_the_same_each_time_and_as_long_as_what_it_is_like():
    like = [melody(1, 50), melody(2, 70)]
    first, again = random_music(like, 3), random_music(like, 3)
    assert [len(piece) for piece in first] == [50, 70, 50]
    assert (first[0].pitch == again[0].pitch).all()
    assert first[1].end_seconds == pytest.approx(like[1].end_seconds, rel=0.6)


def test_a_large_generation_is_compared_with_no_more_music_than_tells_how_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.evaluation.results._MOST_EXCERPTS", 100)
    generator = np.random.default_rng(0)

    def some(count: int) -> Notes:
        onsets = np.cumsum(generator.integers(1, 40, count)) / 100
        lengths = generator.integers(5, 60, count) / 100
        return Notes.of(onsets, lengths, generator.integers(40, 90, count), generator.integers(30, 110, count))

    takes = [some(16) for _ in range(120)]
    told: list[tuple[str, int, int, str]] = []
    found = music_results(takes, [some(1_800), some(1_800)], 8.0, lambda *progress: told.append(progress))
    assert (found["takes"], found["reference"], found["real"]) == (120, 100, 100)
    assert {which: len(values) for which, values in found["values"]["pitch_range"].items()} == {
        "takes": 120,
        "real": 100,
        "random": 100,
        "reference": 100,
    }
    assert found["overlap"]["takes"] > found["overlap"]["random"]
    # It takes most of a minute for 10,000 takes, so that each piece and each measure is told, and may interrupt.
    pieces = [(done, total) for phase, done, total, unit in told if unit == "pieces"]
    assert pieces == [(number, 420) for number in range(420)]
    measures = [(done, total) for phase, done, total, unit in told if unit == "measures"]
    assert measures == [(number, len(FEATURES)) for number in range(len(FEATURES))]
    assert len(told) == len(pieces) + len(measures)
