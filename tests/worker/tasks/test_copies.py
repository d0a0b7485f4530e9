"""What is searched and measured of takes: what their model composed, held against the pieces that it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from core.datasets.corpus import Corpus, Split
from core.errors import ConflictError
from core.kept import Kept
from core.modeling.checkpoints import Checkpoint
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation, SharedPassage
from core.models.generations import Generation, Take
from core.models.jobs import Queue
from core.models.trainings import Model, Training
from core.music.notes import Notes
from core.sampling.settings import GenerationSettings
from core.services.evaluations import create_evaluation, get_evaluation
from core.services.lineage import link_to_training
from core.services.models import delete_model
from core.services.originality import (
    index_keys,
    passages_of,
    request_originality,
)
from core.services.primers import PrimerChoice
from core.services.repeating import branch_take
from tests.worker.tasks.conftest import melody
from worker.tasks import evaluation as task
from worker.tasks.take_writer import TakeWriter

SPLITS: list[Split] = ["train", "train", "train", "validation"]
GIVEN = 30


def held(first: float) -> Notes:
    """A training piece of which the first note sounds for so many seconds."""
    notes = melody(0)
    return Notes(notes.onset_seconds, np.r_[first, notes.duration_seconds[1:]], notes.pitch, notes.velocity)


def joined(primer: Notes, part: Notes, transposition: int = 0) -> Notes:
    """A take of a primer and a part that follows it half a second later."""
    start = primer.onset_seconds[-1] + 0.5 - part.onset_seconds[0]
    return Notes.of(
        np.r_[primer.onset_seconds, part.onset_seconds + start],
        np.r_[primer.duration_seconds, part.duration_seconds],
        np.r_[primer.pitch, part.pitch + transposition],
        np.r_[primer.velocity, part.velocity],
    )


class Scene:
    """A dataset, a model that was trained on the first `files` of its pieces, and takes made up by hand."""

    def __init__(self, place: Any, checkpoint: bytes, corpus: Corpus, dataset: int = 0) -> None:
        self.place, self.corpus = place, corpus
        self.dataset = dataset or place.dataset(corpus)
        self.model = place.model(checkpoint)
        with place.database.transaction() as session:
            model = session.get_one(Model, self.model)
            self.files = model.settings["files"]
            done = {"name": "done", "family": "lstm", "settings": {}, "step": 1, "steps": 1, "figures": {}}
            session.add(training := Training(dataset_id=self.dataset, **done))
            session.flush()
            link_to_training(session, model, training, session.get_one(Dataset, self.dataset))

    def generation(self, takes: Sequence[Notes], primer: PrimerChoice | None = None, **values: Any) -> list[int]:
        """The numbers of the takes of a generation that is done."""
        chosen = {"seeds": f"0-{len(takes) - 1}", "length": 40, "primer": primer, **values}
        return self.filled(self.place.generation(self.model, **chosen), takes)

    def filled(self, generation: int, takes: Sequence[Notes]) -> list[int]:
        """The same of a generation that is queued."""
        context = self.place.claim(Queue.GENERATION)
        row = self.place.generation_row(generation)
        settings = GenerationSettings.model_validate(row.settings)
        with TakeWriter(context, row, settings) as writer:
            for index, notes in enumerate(takes):
                writer.add(index, *settings.plan()[index], notes)
        self.place.finish(context)
        return [take.id for take in self.place.takes(generation)]

    def searched(self, take: int) -> SharedPassage:
        """What the search that somebody asks for finds of a take."""
        with self.place.database.transaction() as session:
            assert request_originality(session, take) is not None
        self.place.run_all(task.run, Queue.LIGHT)
        with self.place.database.reading() as session:
            (found,) = passages_of(session, take)
            return found

    def measured(self, take: int) -> Evaluation:
        """An evaluation of a take's generation."""
        with self.place.database.transaction() as session:
            generation = session.get_one(Take, take).generation_id
            number = create_evaluation(
                session, self.place.store, model_id=self.model, dataset_id=self.dataset, generation_id=generation
            ).id
        self.place.run_all(task.run)
        with self.place.database.reading() as session:
            return get_evaluation(session, number)


def limited(checkpoint: bytes, files: int) -> bytes:
    """The same weights, as if trained on the first so many pieces."""
    other = Checkpoint.from_bytes(checkpoint)
    other.settings["files"] = files
    other.weights["output.bias"] = other.weights["output.bias"] + files / 1000
    return other.to_bytes()


@pytest.fixture
def scene(sqlite_workplace: Any, tiny_lstm: bytes) -> Scene:
    """Of which the first training piece begins with a note of 20 s."""
    pieces = [held(20.0), *(melody(number) for number in (1, 2, 3))]
    return Scene(sqlite_workplace, tiny_lstm, Corpus.of(pieces, SPLITS))


@pytest.fixture
def primer(scene: Scene) -> PrimerChoice:
    """The first notes of the first training piece."""
    return PrimerChoice(kind="piece", piece_id=1, notes=GIVEN)


def test_a_primer_of_a_training_piece_is_no_copy_and_hides_none(scene: Scene, primer: PrimerChoice) -> None:
    first, second = (scene.corpus.piece(number) for number in (0, 1))
    lead = first[:GIVEN]
    own, copy = joined(lead, melody(90, 40)), joined(lead, second[5:27], 2)
    further = first[:50], first[:40]  # 20 notes of the same piece, and 10, which are too few
    takes = scene.generation([own, copy, *further], primer, join_primer=True)
    original, copied, longer, shorter = (scene.searched(take) for take in takes)
    assert (original.flagged, original.notes) == (False, 0)
    assert copied.flagged
    assert copied.notes == 22
    assert (copied.piece_id, copied.transposition) == (2, 2)
    # In the whole take's time, behind the primer, and in the piece's.
    assert copied.take_begin_seconds == pytest.approx(copy.onset_seconds[GIVEN], abs=0.03)
    assert copied.take_end_seconds == pytest.approx(copy.onset_seconds[-1], abs=0.03)
    assert copied.piece_begin_seconds == pytest.approx(second.onset_seconds[5], abs=0.03)
    # What goes on from the primer counts from where it was composed.
    assert (longer.flagged, longer.piece_id) == (True, 1)
    assert longer.notes <= 20
    assert longer.take_begin_seconds >= first.onset_seconds[GIVEN - 1] - 0.03
    assert (shorter.flagged, shorter.notes <= 10) == (False, True)


def test_a_primer_that_is_left_out_of_a_take_takes_nothing_from_it(scene: Scene, primer: PrimerChoice) -> None:
    (take,) = scene.generation([scene.corpus.piece(1)[:GIVEN]], primer)
    assert scene.searched(take).notes == GIVEN


def test_an_evaluation_leaves_the_primer_out_of_every_figure(scene: Scene, primer: PrimerChoice) -> None:
    lead = scene.corpus.piece(0)[:GIVEN]
    parts = [melody(seed, 40) for seed in range(60, 67)] + [scene.corpus.piece(1)[:40]]
    takes = [joined(lead, part) for part in parts]
    with_primer = scene.measured(scene.generation(takes, primer, join_primer=True)[0]).results
    alone = scene.measured(scene.generation([joined(part[:1], part[1:])[:40] for part in parts])[0]).results
    music, originality = with_primer["music"], with_primer["originality"]
    assert music["defects"]["takes"]["hanging"] == 0
    assert (music["takes"], music["notes"], music["given_notes"]) == (8, 40, GIVEN)
    assert (originality["flagged"], originality["take_notes"], originality["given_notes"]) == (1, 40, GIVEN)
    assert alone["music"]["given_notes"] == alone["originality"]["given_notes"] == 0
    # Of the notes alone; what is told of times is, too, as they begin at 0.
    for name in ("n_pitches_used", "pitch_range", "mean_note_length", "notes_per_second"):
        of_alone = [notes_figure(name, part) for part in parts]
        assert np.mean(music["values"][name]["takes"]) == pytest.approx(np.mean(of_alone), rel=0.02), name
    for which in ("real", "random", "reference"):
        assert music["values"]["n_pitches_used"].get(which) == alone["music"]["values"]["n_pitches_used"].get(which)
    assert music["defects"]["real"] == alone["music"]["defects"]["real"]


def notes_figure(name: str, notes: Notes) -> float:
    from core.evaluation.excerpts import excerpt
    from core.evaluation.features import features_of

    return float(features_of(excerpt(notes, 0, len(notes)))[name][0])


def test_a_note_that_hangs_behind_the_primer_still_counts(scene: Scene, primer: PrimerChoice) -> None:
    lead, part = scene.corpus.piece(0)[:GIVEN], melody(60, 40)
    hanging = Notes(part.onset_seconds, np.r_[part.duration_seconds[:-1], 9.0], part.pitch, part.velocity)
    takes = [joined(lead, hanging), joined(lead, part)]
    music = scene.measured(scene.generation(takes, primer, join_primer=True)[0]).results["music"]
    assert music["defects"]["takes"]["hanging"] == 500


def test_a_take_of_nothing_but_its_primer_is_empty_and_no_copy(scene: Scene, primer: PrimerChoice) -> None:
    takes = scene.generation([scene.corpus.piece(0)[:GIVEN]], primer, join_primer=True)
    done = scene.measured(takes[0])
    assert done.results["music"]["defects"]["takes"]["empty"] == 1000
    assert done.results["originality"]["takes"] == [0]


def test_what_a_branch_takes_over_from_its_take_was_composed(scene: Scene, primer: PrimerChoice) -> None:
    copy = scene.corpus.piece(1)[:25]
    (parent,) = scene.generation([joined(copy, melody(70, 20))])
    assert scene.searched(branches(scene, parent, joined(copy, melody(71, 30)))).notes == 25
    (primed,) = scene.generation([joined(scene.corpus.piece(0)[:GIVEN], copy)], primer, join_primer=True)
    # 50 notes of the take, of which 30 were its primer's: 20 copied ones are left.
    found = scene.searched(branches(scene, primed, joined(scene.corpus.piece(0)[:GIVEN], copy[:20]), note=50))
    assert (found.notes, found.piece_id) == (20, 2)


def branches(scene: Scene, take: int, notes: Notes, note: int = 25) -> int:
    with scene.place.database.transaction() as session:
        generation = branch_take(session, scene.place.store, take, note, count=1).id
    return scene.filled(generation, [notes])[0]


def test_pieces_that_the_training_left_out_are_not_searched(
    scene: Scene, tiny_lstm: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_all = scene
    of_one, of_two = (Scene(scene.place, limited(tiny_lstm, files), scene.corpus, scene.dataset) for files in (1, 2))
    first, second = (joined(melody(80, 5), scene.corpus.piece(number)[10:40]) for number in (0, 1))

    def found(each: Scene) -> list[tuple[int, int | None]]:
        rows = [each.searched(take) for take in each.generation([first, second])]
        return [(row.notes, row.piece_id) for row in rows]

    assert found(of_one) == [(30, 1), (0, None)]
    assert found(of_two) == [(30, 1), (30, 2)]
    assert found(of_all) == [(30, 1), (30, 2)]
    with scene.place.database.reading() as session:
        corpus_key = session.scalars(select(Model)).first() and "datasets/1/c"
    keys = [key for files in (0, 1, 2) for key in index_keys(corpus_key, files)]
    assert len(set(keys)) == 6
    assert all(scene.place.store.exists(key) for key in keys)
    # Found on the disk by a process that has opened nothing yet.
    monkeypatch.setattr("worker.tasks.copies._opened", Kept(2))
    digests = [hashlib.sha256(scene.place.store.read(key)).hexdigest() for key in keys]
    assert found(of_all) == [(30, 1), (30, 2)]
    assert found(of_one) == [(30, 1), (0, None)]
    assert [hashlib.sha256(scene.place.store.read(key)).hexdigest() for key in keys] == digests


def test_an_evaluation_searches_the_pieces_used_and_keeps_its_baselines(scene: Scene, tiny_lstm: bytes) -> None:
    of_one = Scene(scene.place, limited(tiny_lstm, 1), scene.corpus, scene.dataset)
    takes = [joined(melody(80, 5), scene.corpus.piece(number)[10:40]) for number in (0, 1)]
    one, everything = (each.measured(each.generation(takes)[0]).results for each in (of_one, scene))
    assert (one["originality"]["flagged"], one["originality"]["pieces_used"]) == (1, 1)
    assert (everything["originality"]["flagged"], everything["originality"]["pieces_used"]) == (2, 0)
    assert one["originality"]["of_training"] == 0  # one piece has no others
    for which in ("real", "random"):
        assert one["music"]["defects"][which] == everything["music"]["defects"][which]
        assert one["music"]["overlap"].get(which) == everything["music"]["overlap"].get(which)


def test_a_limit_beyond_all_pieces_is_none(scene: Scene, tiny_lstm: bytes) -> None:
    wide = Scene(scene.place, limited(tiny_lstm, 3), scene.corpus, scene.dataset)
    (take,) = wide.generation([joined(melody(80, 5), scene.corpus.piece(2)[10:40])])
    assert wide.searched(take).piece_id == 3
    assert not scene.place.store.exists(index_keys("datasets/1/c", 3)[0])


def test_a_take_is_not_searched_when_nobody_knows_any_more_what_its_model_read(scene: Scene) -> None:
    (take,) = scene.generation([melody(4)])
    with scene.place.database.transaction() as session:
        request_originality(session, take)
    delete_model(scene.place.database, scene.place.store, scene.model)
    with scene.place.database.reading() as session:
        assert session.scalars(select(Generation)).one().model_id is None
    with pytest.raises(ConflictError, match="was deleted, so nobody knows on which pieces"):
        scene.place.run_all(task.run, Queue.LIGHT)
