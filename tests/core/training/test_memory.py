"""A device whose memory is too small: training says which batch fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from core.datasets.corpus import Corpus
from core.encoding.performance import encode
from core.errors import DeviceError, TrainingError
from core.modeling.backend import is_out_of_memory, out_of_memory_errors
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.parallel import OneDevice
from core.training.event_step import EventStep
from core.training.heldout import Evaluator
from core.training.settings import EventSettings, LstmSettings
from core.training.windows import EventWindows

pytestmark = pytest.mark.slow


class SmallDevice(OneDevice):
    """A device that holds a few windows and says of more what the library itself says."""

    def __init__(self, most_windows: int) -> None:
        self.most_windows = most_windows

    def compile(self, gradients: Any, update: Any) -> Any:
        import tensorflow as tf

        step = super().compile(gradients, update)

        def careful(trees: Any, parts: Sequence[Any], scalars: Any) -> Any:
            if parts[0]["events"].shape[0] > self.most_windows:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return step(trees, parts, scalars)

        return careful


def _advance(most_windows: int, settings: EventSettings, corpus: Corpus) -> float:
    step = EventStep(build_network(settings), settings, SmallDevice(most_windows))
    batch = EventWindows(list(corpus.pieces("train")), settings).batch(0)
    return step.advance(step.begin(initial_weights(settings)), batch, 0)[1]


def test_says_which_batch_fits(make_corpus: Callable[..., Corpus]) -> None:
    corpus = make_corpus()
    settings = LstmSettings(embedding=8, units=8, batch_size=12, window=16, dropout=0.1)
    assert _advance(12, settings, corpus) > 0
    with pytest.raises(TrainingError, match=r"hold a batch of 12 windows of 16 events.*batch of 3, which fits"):
        _advance(5, settings, corpus)
    with pytest.raises(TrainingError, match=r"hold one window of 16 events.*shorter window or a smaller network"):
        _advance(0, settings, corpus)


def test_a_held_out_figure_that_does_not_fit_says_so(make_corpus: Callable[..., Corpus]) -> None:
    import tensorflow as tf

    evaluator = Evaluator(build_network(LstmSettings(embedding=8, units=8)))
    streams = [encode(piece) for piece in make_corpus().pieces("validation")]

    def refuse(*_: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    evaluator._chunk = refuse
    with pytest.raises(DeviceError, match=r"16 held-out pieces side by side.*worker with more memory"):
        evaluator.evaluate({}, streams, lambda _: None)


def test_other_failures_of_a_device_are_no_lack_of_memory() -> None:
    import tensorflow as tf

    lack = tf.errors.ResourceExhaustedError(None, None, "OOM")
    assert isinstance(lack, out_of_memory_errors())
    assert is_out_of_memory(lack)
    assert not isinstance(tf.errors.InvalidArgumentError(None, None, "shape"), out_of_memory_errors())
