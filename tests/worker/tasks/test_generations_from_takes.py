"""Takes made from takes: the same again to the byte, more like one, and branches of one."""

from __future__ import annotations

from typing import Any

import pytest

from core.datasets.corpus import Corpus
from core.errors import InputError
from core.music.notes import Notes
from core.music.provenance import read_provenance
from core.music.reading import read_midi
from core.sampling.settings import GenerationSettings
from core.services.primers import PrimerChoice
from core.services.repeating import branch_take, more_like, repeat, repeat_take
from worker.tasks import generation as task

pytestmark = pytest.mark.slow


def test_repeating_gives_equal_bytes_primer_included(sqlite_workplace: Any, tiny_lstm: bytes, corpus: Corpus) -> None:
    place = sqlite_workplace
    place.dataset(corpus)
    primer = PrimerChoice(kind="piece", piece_id=2, notes=12)
    model = place.model(tiny_lstm)
    first = place.generation(
        model, seeds="5-9", temperatures=[0.9, 1.2], length=25, primer=primer, top_p=0.9, velocity=80, tempo_factor=1.3
    )
    place.run_all(task.run)
    chosen = place.takes(first)[7]
    data = place.store.read(chosen.midi_key)
    # What the primer came from may go: the take carries what decides it, and the primer is kept by its content.
    place.store.delete("datasets/1/o")

    with place.database.transaction() as session:
        again = [repeat_take(session, place.store, chosen.id), repeat(session, place.store, read_provenance(data))]
    before = GenerationSettings.model_validate(place.generation_row(first).settings)
    for generation in again:
        settings = GenerationSettings.model_validate(generation.settings)
        assert settings.plan() == [(chosen.seed, chosen.temperature)]
        assert settings.of_take(chosen.temperature) == before.of_take(chosen.temperature)
        assert generation.primer_title == "Piece 1"
    place.run_all(task.run)
    for generation in again:
        (take,) = place.takes(generation.id)
        assert place.store.read(take.midi_key) == data

    with place.database.transaction() as session:
        more = more_like(session, place.store, chosen.id, 4)
    settings = GenerationSettings.model_validate(more.settings)
    assert settings.of_take(chosen.temperature) == before.of_take(chosen.temperature)
    assert len({seed for seed, _ in settings.plan()}) == 4


def moments(notes: Notes) -> set[tuple[float, int]]:
    """Onsets on the grid of the events, with their pitches."""
    return {(round(onset, 2), pitch) for onset, _, pitch, _ in notes}


@pytest.mark.parametrize("family", ["lstm", "tutorial"])
def test_branches_begin_as_their_take_and_go_on_in_other_ways(
    sqlite_workplace: Any, tiny_lstm: bytes, tiny_tutorial: bytes, corpus: Corpus, family: str
) -> None:
    place = sqlite_workplace
    place.dataset(corpus)
    model = place.model(tiny_lstm if family == "lstm" else tiny_tutorial)
    first = place.generation(model, seeds="3", temperatures=[1.1], length=30, velocity=70)
    place.run_all(task.run)
    (root,) = place.takes(first)
    trunk = read_midi(place.store.read(root.midi_key)).notes
    with place.database.transaction() as session:
        branched = branch_take(session, place.store, root.id, 12, count=5, length=20)
    place.run_all(task.run)
    branches = [read_midi(place.store.read(take.midi_key)).notes for take in place.takes(branched.id)]
    assert len(branches) == 5
    for notes in branches:
        assert len(notes) == 32
        # All of the trunk is there; a new note of the same moment may lie below its last ones.
        assert moments(trunk[:12]) <= moments(notes)
        assert notes.onset_seconds[12] >= notes.onset_seconds[11]
        assert set(notes.velocity[12:].tolist()) == {70}
    assert len({(n.pitch[12:].tobytes(), n.onset_seconds[12:].tobytes()) for n in branches}) > 1
    # A branch is a take like any other: it can be repeated to the byte, and branched again.
    with place.database.transaction() as session:
        chosen = place.takes(branched.id)[2]
        again = repeat_take(session, place.store, chosen.id)
        branch_take(session, place.store, chosen.id, 32, count=2)
    place.run_all(task.run)
    (same,) = place.takes(again.id)
    assert place.store.read(same.midi_key) == place.store.read(chosen.midi_key)


@pytest.mark.parametrize("family", ["lstm", "tutorial"])
def test_branches_with_the_same_seeds_are_the_same_to_the_byte(
    sqlite_workplace: Any, tiny_lstm: bytes, tiny_tutorial: bytes, corpus: Corpus, family: str
) -> None:
    place = sqlite_workplace
    place.dataset(corpus)
    number = place.generation(place.model(tiny_lstm if family == "lstm" else tiny_tutorial), seeds="3", length=30)
    place.run_all(task.run)
    (root,) = place.takes(number)

    def branches(**chosen: Any) -> dict[int, bytes]:
        with place.database.transaction() as session:
            branched = branch_take(session, place.store, root.id, 12, length=20, **chosen)
        place.run_all(task.run)
        return {take.seed: place.store.read(take.midi_key) for take in place.takes(branched.id)}

    made = branches(seeds="0-4")
    assert list(made) == list(range(5))
    assert len(set(made.values())) == 5
    assert branches(seeds="0-4") == made
    # Not by their order, nor by what is made beside them.
    assert branches(seeds="4,2") == {4: made[4], 2: made[2]}
    assert set(branches(count=2)) - set(made)


@pytest.mark.parametrize("note", [0, 31])
def test_a_branch_begins_within_its_take(sqlite_workplace: Any, tiny_lstm: bytes, note: int) -> None:
    place = sqlite_workplace
    number = place.generation(place.model(tiny_lstm), seeds="1", length=30)
    place.run_all(task.run)
    (root,) = place.takes(number)
    refused = pytest.raises(InputError, match=f"note: {note} is refused; .* after note 1 to 30")
    with refused, place.database.transaction() as session:
        branch_take(session, place.store, root.id, note)
