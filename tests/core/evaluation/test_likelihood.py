"""Held-out likelihood against a sum over single steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from core.encoding.performance import BEGIN, END, NOTE_OFF, TIME_SHIFT, VELOCITY, encode
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.music.notes import Notes
from core.training.settings import TutorialSettings, parse_training_settings

pytestmark = pytest.mark.slow


def melody(seed: int, count: int) -> Notes:
    generator = np.random.default_rng(seed)
    onsets = np.cumsum(generator.choice([0.0, 0.2, 0.5], count))
    return Notes.of(onsets, generator.choice([0.1, 0.3], count), generator.integers(40, 90, count), np.full(count, 64))


PIECES = [melody(seed, count) for seed, count in enumerate((20, 130, 7, 60, 90))] + [Notes.empty()]


# What they look back on is shorter than the pieces.
FAMILIES: dict[str, dict[str, Any]] = {
    "lstm": {"embedding": 8, "units": 12},
    "gru": {"embedding": 8, "units": 12},
    "conv1d": {"units": 12, "layers": 2, "kernel": 3},
    "wavenet": {"units": 12, "layers": 4, "cycle": 3},
    "transformer": {"units": 16, "layers": 2, "heads": 2, "context": 30},
}


def untrained(family: str) -> Checkpoint:
    """A network whose predictions differ from place to place."""
    settings = parse_training_settings(family, {**FAMILIES[family], "seed": 4})
    weights = initial_weights(settings)
    generator = np.random.default_rng(1)
    weights["output.kernel"] = generator.normal(0, 1, weights["output.kernel"].shape).astype(np.float32)
    return Checkpoint(family, "performance", settings.model_dump(mode="json"), weights)


def by_single_steps(checkpoint: Checkpoint) -> tuple[float, int, int, float]:
    """Event by event with the network's own step, the softmax in numpy."""
    from core.modeling.backend import jit, to_device, to_numpy
    from core.modeling.network import build_network

    network = build_network(checkpoint.family_settings)
    step = jit(network.step)
    prepared = network.prepare(to_device(checkpoint.weights))
    nats, events, notes, ticks = 0.0, 0, 0, 0
    for piece in PIECES:
        stream = encode(piece) if len(piece) else np.zeros(0, np.uint16)
        state = to_device(network.initial_state(1))
        for event, target in pairwise(stream):
            logits, state = step(prepared, np.array([event], np.int32), state)
            row = to_numpy(logits)[0].astype(np.float64)
            if target not in (BEGIN, END):
                nats += np.log(np.exp(row - row.max()).sum()) + row.max() - row[target]
                events += 1
                notes += int(target < NOTE_OFF)
                if TIME_SHIFT <= target < VELOCITY:
                    ticks += int(target) - TIME_SHIFT + 1
    return nats, events, notes, ticks / 100


@pytest.mark.parametrize("family", FAMILIES)
def test_each_event_of_whole_pieces_counts_once_and_begin_and_end_do_not(family):
    from core.evaluation.likelihood import held_out_likelihood

    checkpoint = untrained(family)
    nats, events, notes, seconds = by_single_steps(checkpoint)
    found = held_out_likelihood(checkpoint, PIECES, lambda _: None)
    assert (found.events, found.notes, found.pieces) == (events, notes, 5)
    assert found.notes == sum(map(len, PIECES)) - sum(
        len(piece) - len(set(zip(piece.onset_seconds, piece.pitch, strict=True))) for piece in PIECES
    )
    assert found.seconds == pytest.approx(seconds)
    assert found.nats == pytest.approx(nats, rel=1e-5)
    figures = found.figures()
    assert figures["nats_per_event"] == pytest.approx(nats / events, rel=1e-5)
    assert figures["nats_per_note"] == pytest.approx(nats / notes, rel=1e-5)
    assert figures["nats_per_second"] == pytest.approx(nats / seconds, rel=1e-5)


def test_an_interrupted_evaluation_goes_on_to_the_same_figure(monkeypatch):
    from core.evaluation import likelihood
    from core.training import heldout

    checkpoint = untrained("lstm")
    whole = likelihood.held_out_likelihood(checkpoint, PIECES, lambda _: None)
    for module in (likelihood, heldout):
        monkeypatch.setattr(module, "PIECES_AT_ONCE", 2)
    seen: list[likelihood.Likelihood] = []

    def stop(done: likelihood.Likelihood) -> None:
        seen.append(done)
        if done.pieces == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        likelihood.held_out_likelihood(checkpoint, PIECES, stop)
    resumed = likelihood.held_out_likelihood(checkpoint, PIECES, lambda _: None, seen[-1])
    assert resumed.events == whole.events
    assert resumed.nats == pytest.approx(whole.nats, rel=1e-6)


def article_heads(weights: dict[str, np.ndarray], windows: np.ndarray) -> dict[str, np.ndarray]:
    """The article's network in numpy: one LSTM with Keras's order of gates, three heads."""

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    h = memory = np.zeros((len(windows), 128))
    for column in range(windows.shape[1]):
        gates = windows[:, column] @ weights["lstm_0.kernel"] + h @ weights["lstm_0.recurrent"] + weights["lstm_0.bias"]
        i, f, c, o = np.split(gates, 4, axis=1)
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(c)
        h = sigmoid(o) * np.tanh(memory)
    return {name: h @ weights[f"{name}.kernel"] + weights[f"{name}.bias"] for name in ("pitch", "step", "duration")}


def test_the_articles_loss_is_that_of_its_windows():
    from core.evaluation.tutorial_loss import tutorial_held_out
    from core.training.tutorial_windows import window_starts

    settings = TutorialSettings(window=6)
    tutorial = Checkpoint("tutorial", "tutorial", settings.model_dump(mode="json"), initial_weights(settings))
    found = tutorial_held_out(tutorial, PIECES, lambda: None)
    triples, starts = window_starts(PIECES, 6)
    windows = triples[starts[:, None] + np.arange(7)].astype(np.float64)
    heads, target = article_heads(tutorial.weights, windows[:, :-1] / (128, 1, 1)), windows[:, -1]
    logits = heads["pitch"] - np.log(np.exp(heads["pitch"]).sum(axis=1, keepdims=True))
    losses = {"pitch": -logits[np.arange(len(starts)), target[:, 0].astype(int)].mean()}
    for column, name in ((1, "step"), (2, "duration")):
        guess = heads[name][:, 0]
        losses[name] = ((target[:, column] - guess) ** 2 + 10 * np.maximum(-guess, 0)).mean()
    assert found["windows"] == len(starts)
    for name, value in losses.items():
        assert found[name] == pytest.approx(value, rel=1e-4)
    assert found["loss"] == pytest.approx(0.05 * losses["pitch"] + losses["step"] + losses["duration"], rel=1e-4)
