"""Which notes of a take were given to it: of a primer, of a chord that it was cut in, of branches of branches."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from core.artifacts import ArtifactStore
from core.encoding.performance import NOTE_ON, TIME_SHIFT
from core.errors import StorageError
from core.models.generations import Generation
from core.music.notes import Notes
from core.music.provenance import Provenance
from core.music.reading import read_midi
from core.music.writing import write_midi
from core.sampling.assembling import events_assembler, tutorial_assembler
from core.sampling.settings import TakeSettings
from core.services.given import begins_with_primer, composed_part, given_count, given_notes
from core.services.primers import primer_key

OWN, OTHER = "a" * 64, "b" * 64
JOINED = TakeSettings(join_primer=True, length=50)


def piece(count: int = 12, seed: int = 0) -> Notes:
    """Chords of three, off the grid of 10 ms, some struck again within it."""
    random = np.random.default_rng(seed)
    onset = np.repeat(np.cumsum(random.choice([0.004, 0.123, 0.5], -(-count // 3))), 3)[:count]
    return Notes.of(onset, [0.2] * count, random.permutation(60)[:count] + 40, [64] * count)


def moments(notes: Notes) -> list[tuple[float, int]]:
    return [(round(onset, 2), pitch) for onset, _, pitch, _ in notes]


def as_stored(notes: Notes) -> Notes:
    return read_midi(write_midi(notes), fold_pedal=False).notes


@pytest.mark.parametrize("count", range(1, 13))
@pytest.mark.parametrize("tempo", [1.0, 2.5])
def test_a_chord_that_the_model_completes_below_the_primer_is_its_own(count: int, tempo: float) -> None:
    primer = piece(12)[:count]
    settings = JOINED.model_copy(update={"tempo_factor": tempo})
    drawn = np.array([NOTE_ON + 20, TIME_SHIFT + 4, NOTE_ON + 110, TIME_SHIFT + 49, NOTE_ON + 30], np.uint16)
    take = as_stored(events_assembler(primer, settings)(drawn))
    composed = composed_part(take, primer)
    last = moments(take)[-1][0]
    assert [pitch for _, pitch in moments(composed)] == [20, 110, 30]
    assert moments(composed)[0][0] == pytest.approx(primer.onset_seconds[-1], abs=0.0051)
    assert moments(composed)[-1][0] == last  # at the whole take's times


def test_of_the_article_s_network_too_the_drawn_notes_are_left() -> None:
    primer = piece(10)
    drawn = np.array([[20, 0.0, 0.3], [21, 0.001, 0.3], [110, 0.4, 0.3]])
    take = as_stored(tutorial_assembler(primer, JOINED)(drawn))
    assert composed_part(take, primer).pitch.tolist() == [20, 21, 110]


def test_without_given_notes_a_take_is_whole() -> None:
    take = piece(9)
    assert composed_part(take, Notes.empty()) is take
    assert len(composed_part(Notes.empty(), piece(3))) == 0


def kept(store: ArtifactStore, data: bytes, notes: int) -> dict[str, Any]:
    """Settings of takes that begin with the first notes of a file, which is stored as a primer."""
    digest = hashlib.sha256(data).hexdigest()
    store.write(primer_key(digest), data)
    return {"join_primer": True, "primer": {"sha256": digest, "notes": notes}}


def take_file(settings: dict[str, Any], notes: Notes, model: str = OWN) -> bytes:
    return write_midi(notes, provenance=Provenance(model, 1, settings, "sampler"))


def given(store: ArtifactStore, settings: dict[str, Any]) -> int:
    generation = Generation(model_hash=OWN, settings=settings)
    assert given_count(store, generation) == len(given_notes(store, generation))
    return len(given_notes(store, generation))


def test_a_primer_is_given_where_the_take_begins_with_it(store: ArtifactStore) -> None:
    settings = kept(store, write_midi(piece(12)), 7)
    assert given(store, settings) == 7
    assert begins_with_primer(settings)
    for other in ({**settings, "join_primer": False}, {"join_primer": True, "primer": None}, {}):
        assert given(store, other) == 0
        assert not begins_with_primer(other)


def test_of_a_branch_only_what_the_branched_take_had_been_given_counts(store: ArtifactStore) -> None:
    plain = take_file({"join_primer": False, "primer": None}, piece(12, 1))
    assert given(store, kept(store, plain, 9)) == 0
    # Continued, but not begun with: none of its notes is the primer's.
    hidden = {**kept(store, write_midi(piece(12)), 7), "join_primer": False}
    assert given(store, kept(store, take_file(hidden, piece(12, 2)), 9)) == 0

    primed = take_file(kept(store, write_midi(piece(12)), 7), piece(12))
    assert given(store, kept(store, primed, 9)) == 7
    assert given(store, kept(store, primed, 5)) == 5
    of_branch = take_file(kept(store, primed, 9), piece(12))
    assert given(store, kept(store, of_branch, 11)) == 7
    assert given(store, kept(store, of_branch, 3)) == 3
    branch_of_plain = take_file(kept(store, plain, 9), piece(12, 1))
    assert given(store, kept(store, branch_of_plain, 11)) == 0


def test_what_another_model_or_a_file_of_made_up_words_says_is_given(store: ArtifactStore) -> None:
    plain = {"join_primer": False, "primer": None}
    assert given(store, kept(store, take_file(plain, piece(12), OTHER), 9)) == 9
    primed = take_file(kept(store, write_midi(piece(12)), 7), piece(12), OTHER)
    assert given(store, kept(store, take_file(kept(store, primed, 10), piece(12)), 11)) == 10


@pytest.mark.parametrize("primer", ["all", {"sha256": "../" * 21 + "x", "notes": 3}, {"sha256": 5}, [1]])
def test_a_primer_that_cannot_be_read_out_of_a_file_breaks_nothing(store: ArtifactStore, primer: Any) -> None:
    assert given(store, kept(store, take_file({"join_primer": True, "primer": primer}, piece(12)), 9)) == 9


def test_what_a_deleted_take_was_given_stays_left_out(store: ArtifactStore) -> None:
    settings = kept(store, write_midi(piece(12)), 7)
    branch = kept(store, take_file(settings, piece(12)), 9)
    store.delete(primer_key(settings["primer"]["sha256"]))
    assert given(store, branch) == 7


def test_a_page_shows_the_primer_s_number_where_its_file_is_gone(store: ArtifactStore) -> None:
    settings = kept(store, write_midi(piece(12)), 7)
    store.delete(primer_key(settings["primer"]["sha256"]))
    generation = Generation(model_hash=OWN, settings=settings)
    with pytest.raises(StorageError):
        given_notes(store, generation)
    assert given_count(store, generation) == 7
