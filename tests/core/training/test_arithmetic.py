"""One step of each training against an independent calculation in numpy, and the optimiser against Keras's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.corpus import Corpus
from core.encoding.performance import BEGIN, END, encode
from core.encoding.tutorial import to_triples
from core.modeling.backend import to_device, to_numpy
from core.modeling.initial import initial_weights
from core.training.heldout import Evaluator, HeldOut, events_read, interval_subset
from core.training.optimizer import adam, bias_correction, clip_by_global_norm, warmup_cosine, zero_moments
from core.training.run import train
from core.training.settings import LstmSettings, TutorialSettings

pytestmark = pytest.mark.slow

Arrays = dict[str, NDArray[np.float64]]


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_is_keras_adam(decay: float) -> None:
    generator = np.random.default_rng(0)
    weights = {"a.kernel": generator.normal(size=(4, 3)).astype(np.float32), "a.bias": np.ones(3, np.float32)}
    first, second = zero_moments(weights), zero_moments(weights)
    variables = [keras.Variable(array, name=name.replace(".", "_")) for name, array in weights.items()]
    theirs = keras.optimizers.AdamW(0.01, weight_decay=decay) if decay else keras.optimizers.Adam(0.01)
    theirs.build(variables)
    if decay:
        theirs.exclude_from_weight_decay(var_names=["bias"])
    ours = weights
    for step in range(1, 6):
        gradients = {name: generator.normal(size=array.shape).astype(np.float32) for name, array in weights.items()}
        ours, first, second = adam(
            ours, gradients, first, second, np.float32(0.01), np.float32(bias_correction(step)), decay
        )
        theirs.apply(list(gradients.values()), variables)
    for variable, array in zip(variables, ours.values(), strict=True):
        np.testing.assert_allclose(to_numpy(array), to_numpy(variable + 0.0), rtol=1e-5, atol=1e-6)


def test_the_order_of_names_does_not_change_the_bits_of_clipping() -> None:
    # As a resume point gives them back; added in turn, the ones count before 4096 squared and are lost after it.
    gradients = {"large": np.array([4096.0], np.float32)} | {f"one{n}": np.ones(1, np.float32) for n in range(64)}
    (clipped, norm), (other, other_norm) = (
        clip_by_global_norm({name: gradients[name] for name in names}, 1.0)
        for names in (gradients, reversed(gradients))
    )
    assert float(norm) == float(other_norm)
    assert {name: float(array[0]) for name, array in clipped.items()} == {
        name: float(array[0]) for name, array in other.items()
    }


def test_clipping_and_schedule() -> None:
    gradients = {"a": np.array([3.0], np.float32), "b": np.array([[4.0]], np.float32)}
    clipped, norm = clip_by_global_norm(gradients, 1.0)
    assert float(norm) == pytest.approx(5)
    assert [float(clipped["a"][0]), float(clipped["b"][0][0])] == pytest.approx([0.6, 0.8])
    untouched, _ = clip_by_global_norm(gradients, 10.0)
    assert float(untouched["a"][0]) == 3.0
    rates = [warmup_cosine(step, 100, 10, 1.0) for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_one_step_of_the_tutorial_equals_numpy(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]
) -> None:
    corpus = make_corpus(train=1, validation=0, notes=45)
    # 45 notes give 20 windows: one batch, one epoch, one step.
    settings = TutorialSettings(seed=2, epochs=1, batch_size=64)
    hooks = make_hooks()
    result = train(settings, corpus, hooks)
    before = {name: array.astype(np.float64) for name, array in initial_weights(settings).items()}
    triples = to_triples(corpus.piece(0)).astype(np.float64)
    windows = np.stack([triples[at : at + 25] for at in range(20)]) / [128, 1, 1]
    targets = np.stack([triples[at + 25] for at in range(20)])
    losses, gradients = _tutorial_by_hand(before, windows, targets)
    values = hooks.points[0].values
    assert values["train_pitch"] == pytest.approx(losses["pitch"], rel=1e-5)
    assert values["train_step"] == pytest.approx(losses["step"], rel=1e-4)
    assert values["train_duration"] == pytest.approx(losses["duration"], rel=1e-4)
    expected_total = 0.05 * losses["pitch"] + losses["step"] + losses["duration"]
    assert values["train_loss"] == pytest.approx(expected_total, rel=1e-5)
    for name, gradient in gradients.items():
        # The first step of Adam: moments from zero, both corrected.
        m, v = 0.1 * gradient, 0.001 * gradient**2
        step = 0.005 * np.sqrt(1 - 0.999) / (1 - 0.9) * m / (np.sqrt(v) + 1e-7)
        # Where the gradient is nearly nothing its sign decides the step, and that is rounding's.
        clear = np.abs(gradient) > 1e-5 * np.abs(gradient).max()
        np.testing.assert_allclose(result.last.weights[name][clear], (before[name] - step)[clear], atol=2e-5)


def _tutorial_by_hand(
    w: Arrays, windows: NDArray[np.float64], targets: NDArray[np.float64]
) -> tuple[dict[str, float], Arrays]:
    """Losses and gradients of the article's network, step by step and by hand."""
    count = len(windows)
    h = c = np.zeros((count, 128))
    tape = []
    for at in range(windows.shape[1]):
        x = windows[:, at]
        i, f, g, o = np.split(x @ w["lstm_0.kernel"] + h @ w["lstm_0.recurrent"] + w["lstm_0.bias"], 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        after = f * c + i * g
        tape.append((x, h, c, i, f, g, o, after))
        c, h = after, o * np.tanh(after)
    logits = h @ w["pitch.kernel"] + w["pitch.bias"]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    rows, pitches = np.arange(count), targets[:, 0].astype(int)
    losses = {"pitch": float(-np.log(probabilities[rows, pitches]).mean())}
    d_logits = probabilities.copy()
    d_logits[rows, pitches] -= 1
    d_heads = {"pitch": 0.05 * d_logits / count}
    for column, name in ((1, "step"), (2, "duration")):
        prediction = (h @ w[f"{name}.kernel"] + w[f"{name}.bias"])[:, 0]
        error = prediction - targets[:, column]
        losses[name] = float((error**2 + 10 * np.maximum(-prediction, 0)).mean())
        d_heads[name] = ((2 * error - 10 * (prediction < 0)) / count)[:, None]
    gradients = {name: np.zeros_like(array) for name, array in w.items()}
    d_h = np.zeros_like(h)
    for name, d_head in d_heads.items():
        gradients[f"{name}.kernel"] = h.T @ d_head
        gradients[f"{name}.bias"] = d_head.sum(axis=0)
        d_h += d_head @ w[f"{name}.kernel"].T
    d_c = np.zeros_like(h)
    for x, h_before, c_before, i, f, g, o, c_after in reversed(tape):
        squashed = np.tanh(c_after)
        d_c = d_c + d_h * o * (1 - squashed**2)
        d_z = np.concatenate(
            [d_c * g * i * (1 - i), d_c * c_before * f * (1 - f), d_c * i * (1 - g**2), d_h * squashed * o * (1 - o)],
            axis=1,
        )
        gradients["lstm_0.kernel"] += x.T @ d_z
        gradients["lstm_0.recurrent"] += h_before.T @ d_z
        gradients["lstm_0.bias"] += d_z.sum(axis=0)
        d_h, d_c = d_z @ w["lstm_0.recurrent"].T, d_c * f
    return losses, gradients


def test_held_out_figures_equal_a_loop_over_events(make_corpus: Callable[..., Corpus]) -> None:
    settings = LstmSettings(embedding=8, units=12, sounding=False)
    weights = {name: array * 2 for name, array in initial_weights(settings).items()}
    pieces = list(make_corpus(train=0, validation=19, notes=30).pieces("validation"))
    streams = [encode(piece) for piece in pieces]
    nats, events = 0.0, 0
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    for stream in streams:
        h = c = np.zeros(12)
        assert (stream[0], stream[-1]) == (BEGIN, END)
        for event, target in pairwise(stream):
            z = w["embedding"][event] @ w["lstm_0.kernel"] + w["lstm_0.bias"] + h @ w["lstm_0.recurrent"]
            i, f, g, o = np.split(z, 4)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
            if target != END:
                logits = h @ w["output.kernel"] + w["output.bias"]
                nats += float(np.log(np.exp(logits).sum()) - logits[target])
                events += 1
    seen: list[HeldOut] = []
    figure = Evaluator(settings).evaluate(to_device(weights), streams, seen.append)
    assert (figure.events, figure.notes) == (events, sum(int((stream < 128).sum()) for stream in streams))
    assert figure.nats_per_event == pytest.approx(nats / events, rel=1e-5)
    assert figure.nats_per_note == pytest.approx(nats / figure.notes, rel=1e-5)
    # What lies between the first event and the last shift, whole pieces long.
    shifts = np.concatenate([stream[(stream >= 256) & (stream < 356)] for stream in streams]).astype(int)
    seconds = float((shifts - 255).sum()) / 100
    assert figure.seconds == pytest.approx(seconds)
    assert figure.nats_per_second == pytest.approx(nats / seconds, rel=1e-5)
    # An evaluation that was interrupted gives the same bits, whether within a group of pieces or between two.
    assert {(done.group, done.place) for done in seen} >= {(0, 256), (1, 0), (1, 256)}
    for middle in seen:
        if (middle.group, middle.place) in {(0, 256), (1, 0)}:
            again = Evaluator(settings).evaluate(to_device(weights), streams, lambda _: None, middle)
            assert again == figure


def test_the_interval_figure_uses_a_fixed_part() -> None:
    def sizes(most: int, *lengths: int) -> list[int]:
        return [stream.size for stream in interval_subset([np.zeros(size, np.uint16) for size in lengths], most)]

    # Sixteen rows of 256 events are read at once, whatever is in them.
    assert sizes(4_096, 90, 50, 60, 70, 80) == [90, 50, 60, 70, 80]
    assert sizes(4_095, 90, 50, 60, 70, 80) == [90]
    many = [200 + number for number in range(40)]
    assert sizes(3 * 4_096, *many) == many
    # Each row has room for 512 events and the one before them, and only one group of rows fits.
    assert sizes(2 * 4_096, *many) == many[::2]
    assert sizes(4_096, *many) == many[::3]
    # One long piece beside short ones would keep fifteen rows waiting: its beginning is read.
    assert sizes(3 * 4_096, *many[:30], 5_000) == [*many[:30:2], 769]
    assert sizes(2 * 4_096, *many[:30], 5_000) == [*many[:30:2], 513]
    assert events_read([np.zeros(size, np.uint16) for size in (5_000, *many)]) == 4_096 * (1 + 1 + 20)
    pieces = [np.arange(1_000, dtype=np.uint16) + number for number in range(3)]
    assert [list(stream) for stream in interval_subset(pieces, 8_192)] == [list(each[:513]) for each in pieces]
