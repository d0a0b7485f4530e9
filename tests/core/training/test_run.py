"""What trainings tell, when they stop, and what they refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from core.datasets.corpus import Corpus
from core.encoding.performance import encode
from core.errors import TrainingError
from core.modeling import devices
from core.music.notes import Notes
from core.training import events_run, place
from core.training.heldout import interval_subset
from core.training.resume import corpus_digest, write_resume
from core.training.run import TrainingInterrupted, train
from core.training.settings import LstmSettings, TutorialSettings
from core.training.tutorial_windows import window_starts

pytestmark = pytest.mark.slow

_SMALL = {
    "embedding": 16,
    "units": 32,
    "steps": 60,
    "window": 64,
    "batch_size": 8,
    "learning_rate": 0.02,
    "warmup_steps": 5,
}


def test_lstm_learns_and_tells_how_far_it_is(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]
) -> None:
    hooks = make_hooks()
    settings = LstmSettings.parse({**_SMALL, "evaluate_every": 20})
    result = train(settings, make_corpus(train=6, validation=2), hooks)
    figures = [point.values["held_out_nats_per_event"] for point in hooks.points]
    assert [point.step for point in hooks.points] == [20, 40, 60]
    # 390 events alike would be ln 390 = 5.97 nats.
    assert figures[-1] < 0.95 * figures[0] < 0.95 * 5.9
    assert result.best.figures["held_out_nats_per_event"] == min(figures)
    three = {f"held_out_nats_per_{unit}" for unit in ("event", "note", "second")}
    assert three <= set(result.best.figures)
    assert all(three <= set(point.values) for point in hooks.points)
    assert (result.steps, result.stopped_early) == (60, False)
    assert hooks.latest is not None
    assert (hooks.latest.step, hooks.latest.steps, hooks.latest.seconds_left) == (60, 60, 0)
    assert hooks.latest.events_per_second > hooks.latest.notes_per_second > 0
    assert hooks.checkpoints["best"].content_hash == result.best.content_hash
    assert hooks.checkpoints["last"].content_hash == result.last.content_hash


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("validation", [1, 3])
def test_the_last_figure_is_of_whole_pieces_where_those_before_are_of_beginnings(
    validation: int,
    make_corpus: Callable[..., Corpus],
    make_hooks: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Rows with room for 256 events: each piece begins in one and is longer.
    monkeypatch.setattr(events_run, "interval_subset", lambda streams: interval_subset(streams, 4_096))
    corpus, hooks = make_corpus(train=1, validation=validation, notes=150), make_hooks()
    settings = LstmSettings.parse({**_SMALL, "window": 16, "batch_size": 2, "steps": 2, "evaluate_every": 1})
    best = train(settings, corpus, hooks).best.figures
    # Begin and end are not counted.
    counted = sum(len(encode(piece)) - 2 for piece in corpus.pieces("validation"))
    assert counted > 256 * validation
    assert best["held_out_events"] == counted


def test_stops_early_and_keeps_the_best(make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]) -> None:
    hooks = make_hooks()
    # Far too fast: the held-out figure soon gets no better.
    settings = LstmSettings.parse({**_SMALL, "learning_rate": 1.0, "evaluate_every": 3, "patience": 2, "steps": 1000})
    result = train(settings, make_corpus(train=2, validation=1), hooks)
    figures = [point.values["held_out_nats_per_event"] for point in hooks.points]
    assert result.stopped_early
    assert result.steps == 3 * len(figures) < 1000
    assert min(figures) == figures[-3] == result.best.figures["held_out_nats_per_event"]
    assert result.best.figures["step"] == 3 * (len(figures) - 2)
    assert result.best.content_hash != result.last.content_hash


def test_tutorial_follows_the_articles_stopping_rule(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]
) -> None:
    hooks = make_hooks()
    settings = TutorialSettings(files=2, epochs=60, batch_size=16, patience=2, learning_rate=0.05)
    result = train(settings, make_corpus(train=3, validation=1), hooks)
    losses = [point.values["train_loss"] for point in hooks.points]
    assert result.stopped_early
    assert min(losses) == losses[-3] == result.best.figures["train_loss"]
    assert set(hooks.points[0].values) >= {"train_pitch", "train_step", "train_duration", "held_out_loss"}
    assert hooks.latest is not None
    assert set(hooks.latest.heads) == {"pitch", "step", "duration"}


def test_tutorial_windows_stay_within_a_piece(make_piece: Callable[[int, int], Notes]) -> None:
    pieces = [make_piece(0, 30), make_piece(1, 25), make_piece(2, 3), make_piece(3, 27)]
    triples, starts = window_starts(pieces, 25)
    # A window and the note after it: 26 notes.
    assert starts.tolist() == [0, 1, 2, 3, 4, 58, 59]
    assert len(triples) == 85


def test_interruption_is_noticed_at_once(make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]) -> None:
    hooks = make_hooks(lambda calls: True)
    with pytest.raises(TrainingInterrupted):
        train(LstmSettings.parse(_SMALL), make_corpus(), hooks)
    assert hooks.resume_steps == [0]


@pytest.mark.parametrize(
    ("settings", "corpus", "words"),
    [
        (LstmSettings(), {"train": 1, "validation": 0}, "0 held out"),
        (LstmSettings(), {"train": 0, "validation": 1}, "0 pieces to train on"),
        (TutorialSettings(window=200), {"train": 3, "validation": 0}, "window of 200 notes"),
    ],
)
def test_refuses_data_that_does_not_suffice(
    settings: LstmSettings | TutorialSettings,
    corpus: dict[str, int],
    words: str,
    make_corpus: Callable[..., Corpus],
    make_hooks: Callable[..., object],
) -> None:
    with pytest.raises(TrainingError, match=words):
        train(settings, make_corpus(**corpus), make_hooks())


def test_pieces_shorter_than_a_window_still_train(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]
) -> None:
    settings = LstmSettings.parse({**_SMALL, "window": 2048, "steps": 2, "batch_size": 2})
    hooks = make_hooks()
    result = train(settings, make_corpus(train=2, validation=1, notes=4), hooks)
    assert any("window of 2048 events is longer than every piece" in line for line in hooks.lines)
    assert np.isfinite(result.best.figures["held_out_nats_per_event"])


def test_a_loss_that_is_no_number_stops_with_advice(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]
) -> None:
    # Durations so long that their square is infinite.
    endless = Notes.of(np.arange(60) / 4, np.full(60, 1e30), np.full(60, 60), np.full(60, 64))
    with pytest.raises(TrainingError, match=r"had not come to its first checkpoint.* lower learning rate"):
        train(TutorialSettings(), Corpus.of([endless], ["train"]), make_hooks())
    # Weights that have become useless, taken from a resume point.
    settings, corpus = LstmSettings.parse({**_SMALL, "evaluate_every": 10}), make_corpus()
    hooks = make_hooks()
    hooks.stop = lambda calls: bool(hooks.checkpoints)  # right after the first evaluation
    with pytest.raises(TrainingInterrupted):
        train(settings, corpus, hooks)
    good = hooks.checkpoints["best"].content_hash
    hooks.resume = _spoiled(settings, corpus, hooks.resume)
    hooks.stop = lambda calls: False
    with pytest.raises(TrainingError, match=r"last good checkpoint, of step 10, is kept\. .* lower learning rate"):
        train(settings, corpus, hooks)
    assert hooks.checkpoints["best"].content_hash == good


def _spoiled(settings: LstmSettings, corpus: Corpus, resume: bytes) -> bytes:
    from core.modeling.archive import unpack

    document, arrays = unpack(resume)
    trees: dict[str, dict[str, np.ndarray]] = {}
    for path, array in arrays.items():
        tree, _, name = path.partition("/")
        trees.setdefault(tree, {})[name] = np.full_like(array, np.nan) if path == "weights/output.bias" else array
    return write_resume(settings, corpus_digest(corpus), document["place"], trees)


def test_precision_follows_the_device_unless_it_is_chosen(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = LstmSettings.parse({**_SMALL, "steps": 1})
    # No GPU: what the device can do is asked for all the same.
    for can, chosen, used in [
        (True, "auto", "bfloat16"),
        (False, "auto", "float32"),
        (True, "float32", "float32"),
        (False, "bfloat16", "bfloat16"),
    ]:
        monkeypatch.setattr(place, "has_bfloat16", lambda can=can: can)
        settings = short.model_copy(update={"precision": chosen})
        assert place.Place.before(settings).precision == used
    result = train(short, make_corpus(), make_hooks())  # the device of the last round has none
    assert result.last.settings["precision"] == "float32"
    monkeypatch.setattr(place, "has_bfloat16", lambda: True)
    hooks = make_hooks()
    result = train(short, make_corpus(), hooks)
    assert result.last.settings["precision"] == "bfloat16"
    assert all(array.dtype == np.float32 for array in result.last.weights.values())


@pytest.mark.parametrize(
    ("library", "device", "capability", "has"),
    [("tensorflow", "cpu", None, False), ("tensorflow", "gpu", (8, 0), True), ("tensorflow", "gpu", (7, 5), False),
     ("tensorflow", "gpu", None, False), ("jax", "gpu", "9.0", True), ("jax", "gpu", "7.0", False)],
)  # fmt: skip
def test_bfloat16_is_taken_where_the_gpu_multiplies_it(
    library: str, device: str, capability: object, has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {} if capability is None else {"compute_capability": capability}
    config = SimpleNamespace(
        list_physical_devices=lambda kind: [kind],
        experimental=SimpleNamespace(get_device_details=lambda gpu: known),
    )
    monkeypatch.setattr(devices, "device_kind", lambda: device)
    monkeypatch.setattr(devices.keras.backend, "backend", lambda: library)
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=lambda: [SimpleNamespace(**known)]))
    assert devices.has_bfloat16() is has
