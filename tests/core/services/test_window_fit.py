"""What does not fit a dataset is named before the training: a window longer than every piece, nothing held out."""

from __future__ import annotations

import pytest

from core.errors import InputError
from core.models.datasets import Dataset
from core.models.jobs import Job
from core.models.trainings import Training
from core.services.trainings import advice_on, create_training, get_training
from core.services.window_fit import window_advice
from core.training.settings import LstmSettings, TutorialSettings
from tests.tools.web_content import WebContent


def test_a_window_that_is_mostly_padding_is_advised_against(content: WebContent) -> None:
    number = content.dataset()  # its pieces have 200 events each
    with content.database.transaction() as session:
        dataset = session.get_one(Dataset, number)
        assert not window_advice(dataset, LstmSettings(window=200))
        said = window_advice(dataset, LstmSettings(window=2048))
        assert "2,048 events is longer than every training piece (the longest has 200)" in said
        assert "Set a window of 200 or less." in said
        fits = create_training(session, dataset_id=number, family="lstm", values={"window": 64})
        padded = create_training(session, dataset_id=number, family="transformer", values={}, preset="Large")
    with content.database.reading() as session:
        assert not advice_on(get_training(session, fits.id))
        assert "longest has 200" in advice_on(get_training(session, padded.id))
        dataset.statistics = {}  # of an import that nobody counted
        assert not window_advice(dataset, LstmSettings(window=2048))
        assert not window_advice(None, LstmSettings(window=2048))


def test_settings_of_another_version_cost_no_page(content: WebContent) -> None:
    number = content.training(content.dataset(), content.model())
    with content.database.transaction() as session:
        session.get_one(Training, number).settings = {"unheard": 3}
    with content.database.reading() as session:
        assert not advice_on(get_training(session, number))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (0, "the longest of the 4 pieces to train on has 60 notes, and a note must follow the window; set 59 or less."),
        (1, "the piece to train on has 60 notes, and a note must follow the window; set 59 or less, or train on more"),
    ],
)
def test_the_article_s_window_must_leave_a_note_to_predict(content: WebContent, files: int, words: str) -> None:
    number = content.dataset()  # its pieces have 60 notes each
    with content.database.transaction() as session:
        with pytest.raises(InputError, match="window: 60 notes are refused") as refused:
            create_training(session, dataset_id=number, family="tutorial", values={"window": 60, "files": files})
        assert words in str(refused.value)
        assert [problem.field for problem in refused.value.problems] == ["window"]
        assert session.query(Job).count() == 0
        create_training(session, dataset_id=number, family="tutorial", values={"window": 59, "files": files})
        assert not window_advice(session.get_one(Dataset, number), TutorialSettings(window=59))


def test_a_dataset_of_one_piece_is_refused_where_something_must_be_held_out(content: WebContent) -> None:
    number = content.dataset()
    with content.database.transaction() as session:
        dataset = session.get_one(Dataset, number)
        for train, held_out, family, words in (
            (1, 0, "lstm", "'Small pieces' has no validation piece, .* import a dataset of at least three pieces"),
            (0, 1, "tutorial", "'Small pieces' has no piece to train on; import at least two pieces"),
        ):
            splits = {"train": {"pieces": train}, "validation": {"pieces": held_out}}
            dataset.statistics = {"splits": splits}
            session.flush()
            with pytest.raises(InputError, match=words):
                create_training(session, dataset_id=number, family=family, values={})
        dataset.statistics = {"splits": {"train": {"pieces": 1}, "validation": {"pieces": 0}}}
        session.flush()
        assert create_training(session, dataset_id=number, family="tutorial", values={}).id  # it holds nothing out
