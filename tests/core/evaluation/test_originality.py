"""Planted copies are found whatever was done to them; what is not there is not found."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.encoding.performance import decode, encode
from core.errors import StorageError
from core.evaluation.alignment import passages_along
from core.evaluation.originality import longest_shared
from core.evaluation.passages import SEED_INTERVALS, Line, PassageIndex
from core.music.notes import Notes
from tests.core.evaluation.invented import INDEX, PIECES, piece


def melody(chords: Notes) -> Notes:
    """The notes of a piece one after the other, so that one that is put in or left out stays one."""
    count = len(chords)
    steps = np.random.default_rng(count).choice([0.2, 0.4, 0.6], count)
    return Notes.of(np.cumsum(steps), np.full(count, 0.1), chords.pitch, chords.velocity)


MELODIES = PassageIndex.build([melody(source) for source in PIECES], range(30))


def planted(source: Notes, first: int, count: int, semitones: int = 0, tempo: float = 1.0, seed: int = 0) -> Notes:
    """Strange notes, then a passage of `source`, transposed and played slower, then strange notes again."""
    cut = source[slice(first, first + count)]
    before, after = piece(10_000 + seed, 40), piece(20_000 + seed, 40)
    begins = before.end_seconds + 1
    onset = begins + (cut.onset_seconds - cut.onset_seconds[0]) * tempo
    later = onset[-1] + 2 + after.onset_seconds
    return Notes.of(
        np.concatenate((before.onset_seconds, onset, later)),
        np.concatenate((before.duration_seconds, cut.duration_seconds * tempo, after.duration_seconds)),
        np.concatenate((before.pitch, cut.pitch.astype(int) + semitones, after.pitch)),
        np.full(80 + count, 64),
    )


@settings(max_examples=60)
@given(
    st.integers(0, 29),
    st.integers(0, 300),
    st.integers(30, 90),
    st.integers(-12, 12),
    st.floats(0.7, 1.4),
    st.integers(0, 1000),
)
def test_a_planted_passage_is_found_in_any_key_and_tempo(number, first, count, semitones, tempo, seed):
    take = decode(encode(planted(PIECES[number], first, count, semitones, tempo, seed)))
    found = longest_shared(take, INDEX)
    assert found is not None
    assert found.piece == 100 + number
    # Notes of one pitch at one moment are one note; the passage may begin or end within a chord.
    real = len(Line.of(PIECES[number][slice(first, first + count)]))
    assert real - 4 <= found.notes <= real + 6
    assert found.transposition == semitones
    assert found.tempo == pytest.approx(tempo, rel=0.1)
    begin, end = (PIECES[number].onset_seconds[row] for row in (first, min(first + count, 400) - 1))
    assert found.piece_seconds == pytest.approx((begin, end), abs=0.6)


@settings(max_examples=40)
@given(st.integers(0, 29), st.integers(0, 300), st.integers(15, 44), st.integers(1, 5), st.integers(0, 1000))
def test_a_passage_with_a_note_changed_in_its_middle_is_found_whole(number, first, place, by, seed):
    take = planted(PIECES[number], first, 60, seed=seed)
    # A note that sounds alone, so that one note differs and not the order of several.
    gaps = np.diff(take.onset_seconds)
    alone = np.flatnonzero((gaps[1:] > 0.05) & (gaps[:-1] > 0.05)) + 1
    row = alone[np.argmin(np.abs(alone - 40 - place))]
    take.pitch[row] += by
    found = longest_shared(take, INDEX)
    assert found is not None
    assert found.piece == 100 + number
    real = len(Line.of(PIECES[number][slice(first, first + 60)]))
    assert found.notes >= real - 6


@settings(max_examples=60)
@given(
    st.integers(0, 29),
    st.integers(0, 300),
    st.lists(st.tuples(st.integers(12, 25), st.sampled_from(["in", "out", "other"])), min_size=1, max_size=6),
    st.integers(-12, 12),
    st.floats(0.5, 2.0),
    st.integers(0, 1000),
)
def test_a_copy_is_found_whole_with_notes_put_in_left_out_and_changed(number, first, changes, semitones, tempo, seed):
    source = melody(PIECES[number])
    first = min(first, len(source) - 100)
    pitch, onset = list(source.pitch[first : first + 100].astype(int)), list(source.onset_seconds[first : first + 100])
    place = altered = 0
    for distance, change in changes:
        place += distance
        if place > len(pitch) - 12:
            break
        altered += 1
        match change:
            case "in":
                pitch.insert(place, 40 + place % 30)
                onset.insert(place, (onset[place - 1] + onset[place]) / 2)
            case "out":
                del pitch[place], onset[place]
            case _:
                pitch[place] += 1
    count = len(pitch)
    copy = Notes.of(np.array(onset), np.full(count, 0.1), np.array(pitch), np.full(count, 64))
    found = longest_shared(planted(copy, 0, count, semitones, tempo, seed), MELODIES)
    assert found is not None
    assert found.piece == number
    assert found.transposition == semitones
    assert found.tempo == pytest.approx(tempo, rel=0.1)
    # Around each change a note more may seem to belong to the other side, or to none.
    assert found.notes >= 100 - 3 * altered
    assert found.notes <= 100 + 6
    assert found.piece_seconds[1] - found.piece_seconds[0] >= 0.9 * (onset[-1] - onset[0])


def test_a_passage_that_goes_on_in_another_key_or_after_many_strange_notes_ends_there():
    source = melody(PIECES[5])
    halves = [source[slice(0, 40)], source[slice(40, 80)]]
    moved = np.concatenate((halves[0].pitch.astype(int), halves[1].pitch.astype(int) + 1))
    take = Notes.of(source.onset_seconds[:80], np.full(80, 0.1), moved, np.full(80, 64))
    found = longest_shared(take, MELODIES)
    assert found is not None
    assert 38 <= found.notes <= 44
    strange = melody(piece(9_999))
    gap = np.concatenate((halves[0].pitch, strange.pitch[:8], halves[1].pitch))
    parted = longest_shared(
        Notes.of(np.arange(88) * 0.3, np.full(88, 0.1), gap, np.full(88, 64)),
        PassageIndex.build([Notes.of(np.arange(80) * 0.3, np.full(80, 0.1), source.pitch[:80], np.full(80, 64))], [0]),
    )
    assert parted is not None
    assert 38 <= parted.notes <= 44


@settings(max_examples=60)
@given(st.data())
def test_passages_are_those_that_a_slow_search_finds(data):
    """All pairs of stretches, each in every order, for lines of few pitches in one rhythm."""
    pitches = st.lists(st.integers(60, 62), min_size=8, max_size=36)
    own, its = data.draw(pitches), data.draw(pitches)
    shared = data.draw(st.lists(st.integers(60, 62), min_size=10, max_size=20))
    cut = data.draw(st.integers(3, len(shared) - 3))
    own, its = own + shared, its[:5] + shared[:cut] + [61] + shared[cut:] + its[5:]
    lines = [Line(np.array(pitch, np.int16), np.arange(len(pitch), dtype=np.int32) * 20) for pitch in (own, its)]
    diagonals = np.arange(-len(own) + 1, len(its))
    found = max((each.notes for each in passages_along(*lines, diagonals)), default=0)
    assert found == slow_longest(own, its)


def slow_longest(own: list[int], its: list[int]) -> int:
    """The most notes of stretches of seven or more that follow one another, over at most three notes of either line."""
    stretches = []
    for i in range(len(own)):
        for j in range(len(its)):
            before = i and j and own[i] - own[i - 1] == its[j] - its[j - 1]
            notes = 1
            while i + notes < len(own) and j + notes < len(its) and own[i + notes] - its[j + notes] == own[i] - its[j]:
                notes += 1
            if not before and notes >= 7:
                stretches.append((i, j, notes, own[i] - its[j]))

    @cache
    def best(number: int) -> int:
        i, j, notes, key = stretches[number]
        joined = 0
        for other, (k, m, length, moved) in enumerate(stretches):
            if moved != key or (k, m - k) >= (i, j - i):
                continue
            steps, its_steps = i - (k + length - 1), j - (m + length - 1)
            overlap = max(0, 1 - min(steps, its_steps))
            if max(steps, its_steps) <= 4 and overlap <= 3:
                joined = max(joined, best(other) - overlap)
        return notes + joined

    return max((best(number) for number in range(len(stretches))), default=0)


def test_pieces_that_share_nothing_share_little():
    lengths = [longest_shared(piece(seed, 200), INDEX) for seed in range(500, 540)]
    assert max(found.notes if found else 0 for found in lengths) <= 2 * SEED_INTERVALS


def test_the_same_pitches_in_another_rhythm_are_no_copy():
    source = PIECES[3][slice(0, 80)]
    generator = np.random.default_rng(5)
    other = Notes.of(
        np.cumsum(generator.choice([0.06, 0.3, 0.9], 80)), source.duration_seconds, source.pitch, source.velocity
    )
    whole, wrong = longest_shared(source, INDEX), longest_shared(other, INDEX)
    assert whole is not None
    assert whole.notes >= 75
    assert wrong is None or wrong.notes < 40


def test_a_common_figure_starts_no_comparison():
    def trill(count: int) -> Notes:
        pitch = np.where(np.arange(count) % 2, 62, 60)
        return Notes.of(np.arange(count) * 0.1, np.full(count, 0.1), pitch, np.full(count, 64))

    index = PassageIndex.build([trill(400)] * 3, range(3))
    assert longest_shared(trill(100), index) is None


def test_a_training_piece_can_be_held_against_all_others():
    copied = PassageIndex.build([PIECES[0], PIECES[1], PIECES[0]], [0, 1, 2])
    found = longest_shared(PIECES[0], copied, leave_out=0)
    assert found is not None
    assert found.piece == 2
    alone = longest_shared(PIECES[1], copied, leave_out=1)
    assert alone is None or alone.notes < 20


def test_nothing_and_next_to_nothing_share_nothing():
    assert longest_shared(Notes.empty(), INDEX) is None
    assert longest_shared(piece(1, 3), INDEX) is None
    assert longest_shared(piece(1), PassageIndex.build([], [])) is None


def test_the_index_is_stored_and_read_back_and_damage_is_noticed():
    data = INDEX.to_bytes()
    again = PassageIndex.from_bytes(data)
    assert again.to_bytes() == data
    assert longest_shared(PIECES[2][slice(10, 90)], again) == longest_shared(PIECES[2][slice(10, 90)], INDEX)
    with pytest.raises(StorageError, match="damaged"):
        PassageIndex.from_bytes(data[:-500])
