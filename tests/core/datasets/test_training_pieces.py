"""Which pieces of a dataset a training reads, the same for trainings of both kinds and for searches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.datasets.corpus import Corpus, Split
from core.evaluation.held_out import held_out_pieces
from core.music.notes import Notes


def notes(seed: int, count: int = 40) -> Notes:
    random = np.random.default_rng(seed)
    return Notes.of(np.arange(count) / 4, [0.2] * count, random.integers(30, 90, count), [70] * count)


SPLITS: list[Split] = ["validation", "train", "train", "test", "train", "train"]
CORPUS = Corpus.of([notes(0), notes(1), Notes.empty(), notes(3), notes(4), notes(5)], SPLITS)


@pytest.mark.parametrize(("files", "numbers"), [(0, [1, 4, 5]), (1, [1]), (2, [1, 4]), (3, [1, 4, 5]), (99, [1, 4, 5])])
def test_the_first_pieces_with_notes_keep_their_numbers(files: int, numbers: list[int]) -> None:
    pieces = CORPUS.training_pieces(files)
    assert list(pieces) == numbers
    assert all(np.array_equal(piece.pitch, CORPUS.piece(number).pitch) for number, piece in pieces.items())


@pytest.mark.parametrize("files", [0, 1, 2])
def test_trainings_read_just_these(files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.training import events_run, tutorial_run
    from core.training.hooks import SilentHooks
    from core.training.settings import LstmSettings, TutorialSettings

    class SeenError(Exception):
        """What the training would cut into windows."""

    def see(pieces: list[Notes], *_: Any) -> None:
        raise SeenError([piece.pitch.tolist() for piece in pieces])

    monkeypatch.setattr(events_run, "EventWindows", see)
    monkeypatch.setattr(tutorial_run, "window_starts", see)
    used = [piece.pitch.tolist() for piece in CORPUS.training_pieces(files).values()]
    with pytest.raises(SeenError) as of_events:
        events_run.EventTraining(LstmSettings(files=files, units=8, embedding=8), CORPUS, SilentHooks(), 60.0)
    with pytest.raises(SeenError) as of_tutorial:
        tutorial_run.TutorialTraining(TutorialSettings(files=files), CORPUS, SilentHooks(), 60.0)
    assert of_events.value.args[0] == of_tutorial.value.args[0] == used


def test_held_out_pieces_that_the_training_left_out_were_not_seen() -> None:
    measured = Corpus.of([notes(20), notes(1), notes(4)], ["train", "validation", "validation"])
    assert [held_out_pieces(measured, "validation", CORPUS, files).seen for files in (0, 1, 2)] == [2, 1, 2]
