"""A device whose memory is too small: training says which batch fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from core.datasets.corpus import Corpus
from core.encoding.performance import encode
from core.errors import DeviceError, TrainingError
from core.modeling.backend import to_device
from core.modeling.device_memory import is_out_of_memory
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.parallel import OneDevice
from core.training import run
from core.training.event_settings import EventSettings
from core.training.event_step import EventStep
from core.training.heldout import Evaluator
from core.training.settings import LstmSettings, TransformerSettings, TutorialSettings
from core.training.tutorial_run import TutorialTraining
from core.training.windows import EventWindows

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("uncompiled")]


def _full(words: str = "OOM when allocating tensor") -> Exception:
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError(None, None, words)


def _internal(words: str) -> Exception:
    import tensorflow as tf

    return tf.errors.InternalError(None, None, words)


class SmallDevice(OneDevice):
    """A device that holds a few windows and says of more what the library itself says."""

    def __init__(self, most_windows: int, error: Exception, count: int = 1) -> None:
        self.most_windows, self.error, self.count = most_windows, error, count
        self.tried: list[int] = []

    def compile(self, gradients: Any, update: Any) -> Any:
        step = super().compile(gradients, update)

        def careful(trees: Any, parts: Sequence[Any], scalars: Any) -> Any:
            self.tried.append(parts[0]["events"].shape[0])
            if self.tried[-1] > self.most_windows:
                raise self.error
            return step(trees, parts, scalars)

        return careful


_SETTINGS = LstmSettings(embedding=8, units=8, batch_size=12, window=16, dropout=0.1)


def _advance(device: SmallDevice, corpus: Corpus) -> float:
    step = EventStep(build_network(_SETTINGS), _SETTINGS, device)
    batch = EventWindows(list(corpus.pieces("train")), _SETTINGS).batch(0)
    return step.advance(step.begin(initial_weights(_SETTINGS)), batch, 0)[1]


@pytest.mark.parametrize("error", [_full, _internal])
def test_says_which_batch_fits(error: Callable[[str], Exception], make_corpus: Callable[..., Corpus]) -> None:
    corpus, full = make_corpus(), error("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4770354232 bytes.")
    with pytest.raises(TrainingError, match=r"hold a batch of 12 windows of 16 events.*batch of 3, which fits"):
        _advance(SmallDevice(5, full), corpus)
    nothing_fits = SmallDevice(0, full)
    with pytest.raises(TrainingError, match=r"hold one window of 16 events.*shorter window or a smaller network"):
        _advance(nothing_fits, corpus)
    assert nothing_fits.tried == [12, 6, 3, 1]
    # Each of several devices gets as many windows.
    pair = SmallDevice(5, full, count=2)
    with pytest.raises(TrainingError, match=r"batch of 2, which fits"):
        _advance(pair, corpus)
    assert pair.tried == [12, 6, 2]


def test_another_failure_of_the_device_passes_unchanged(make_corpus: Callable[..., Corpus]) -> None:
    corpus, error = make_corpus(), _internal("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered")
    device = SmallDevice(0, error)
    with pytest.raises(type(error)) as raised:
        _advance(device, corpus)
    assert raised.value is error
    assert device.tried == [12]

    # And so does one that comes while batches are tried.
    class Breaking(SmallDevice):
        @property
        def error(self) -> Exception:
            return _full() if len(self.tried) == 1 else error

        @error.setter
        def error(self, _: Exception) -> None:
            pass

    with pytest.raises(type(error)) as raised:
        _advance(Breaking(0, error), corpus)
    assert raised.value is error


def test_weights_that_do_not_fit_say_so(make_corpus: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch) -> None:
    # What TensorFlow says when there is no room for a copy of a numpy array.
    device = SmallDevice(12, _internal("Failed copying input tensor: Dst tensor is not initialized."))

    def refuse(_: Any) -> Any:
        raise device.error

    monkeypatch.setattr(device, "place", refuse)
    with pytest.raises(TrainingError, match=r"not hold this network's [0-9,]+ weights.*smaller network"):
        _advance(device, make_corpus())


def test_the_article_s_network_says_which_batch_fits(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., Any]
) -> None:
    settings = TutorialSettings(batch_size=8, epochs=1)
    training = TutorialTraining(settings, make_corpus(), make_hooks(), 60)
    tried = []

    def careful(weights: Any, first: Any, second: Any, windows: Any, corrections: Any) -> Any:
        tried.append(windows.shape[1])
        if windows.shape[1] > 3:
            raise _full()
        return (weights, first, second), {"pitch": corrections}

    training._compiled_steps = careful
    with pytest.raises(TrainingError, match=r"batch of 8 windows of 25 notes.*batch of 2, which fits"):
        training.run()
    assert tried == [8, 4, 2]


def test_what_else_does_not_fit_ends_in_a_sentence(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise _full()

    monkeypatch.setattr(run, "EventTraining", refuse)
    with pytest.raises(TrainingError, match=r"memory is full.*smaller batch"):
        run.train(_SETTINGS, make_corpus(), make_hooks())


def test_a_held_out_figure_that_does_not_fit_says_so(make_corpus: Callable[..., Corpus]) -> None:
    import tensorflow as tf

    evaluator = Evaluator(LstmSettings(embedding=8, units=8))
    streams = [encode(piece) for piece in make_corpus().pieces("validation")]

    def refuse(*_: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    evaluator._chunk = refuse
    with pytest.raises(DeviceError, match=r"with one held-out piece\..*worker with more memory"):
        evaluator.evaluate({}, streams, lambda _: None)


@pytest.mark.parametrize(
    "settings",
    [LstmSettings(embedding=8, units=8), TransformerSettings(units=8, layers=1, heads=2, context=16)],
    ids=lambda settings: settings.family,
)
def test_held_out_pieces_are_read_in_smaller_groups_where_memory_is_short(
    settings: EventSettings, make_corpus: Callable[..., Corpus]
) -> None:
    weights = to_device(initial_weights(settings))
    streams = [encode(piece) for piece in make_corpus(validation=5).pieces("validation")]
    whole = Evaluator(settings).evaluate(weights, streams, lambda _: None)

    lines: list[str] = []
    small = Evaluator(settings, lines.append)
    chunk, tried = small._chunk, list[int]()

    def careful(weights: Any, events: Any, targets: Any, state: Any) -> Any:
        tried.append(len(events))
        if len(events) > 4:
            raise _full()
        return chunk(weights, events, targets, state)

    small._chunk = careful
    in_parts = small.evaluate(weights, streams, lambda _: None)
    assert tried[:6] == [16, 8, 4, 4, 4, 4]
    assert set(tried[2:]) == {4}
    # Once for each width, though every chunk after it is read so.
    assert [line.partition("at most ")[2].partition(".")[0] for line in lines] == ["8 side by side", "4 side by side"]
    assert (in_parts.events, in_parts.notes, in_parts.ticks) == (whole.events, whole.notes, whole.ticks)
    assert in_parts.nats == pytest.approx(whole.nats, rel=1e-6)


def test_a_training_logs_that_its_held_out_figures_take_longer(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Evaluator._read_rows

    def careful(evaluator: Evaluator, *given: Any) -> Any:
        if evaluator._rows > 8:
            raise _full()
        return whole(evaluator, *given)

    monkeypatch.setattr(Evaluator, "_read_rows", careful)
    hooks = make_hooks()
    settings = LstmSettings(embedding=8, units=8, batch_size=4, window=16, steps=4, evaluate_every=2)
    run.train(settings, make_corpus(), hooks)
    assert len([line for line in hooks.lines if "memory is full" in line and "8 side by side" in line]) == 1


def test_the_article_s_weights_that_do_not_fit_say_so(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> Any:
        raise _internal("Failed copying input tensor: Dst tensor is not initialized.")

    monkeypatch.setattr("core.training.tutorial_run.to_device", refuse)
    with pytest.raises(TrainingError, match=r"not hold this network's [0-9,]+ weights.*end them or wait"):
        run.train(TutorialSettings(batch_size=8, epochs=1), make_corpus(), make_hooks())


def test_what_libraries_and_drivers_say_is_understood() -> None:
    import tensorflow as tf

    assert is_out_of_memory(_full("OOM"))
    assert is_out_of_memory(_internal("Failed to load in-memory CUBIN: CUDA_ERROR_OUT_OF_MEMORY: out of memory"))
    assert not is_out_of_memory(_internal("Blas GEMM launch failed"))
    assert not is_out_of_memory(tf.errors.InvalidArgumentError(None, None, "out of memory"))
