"""Takes: compared with plain loops, of exactly the length asked for, refused or interrupted when they should be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.encoding.performance import BEGIN, decode, encode
from core.encoding.sounding import AGE_COUNT, AGE_EDGES, facts_after, no_facts
from core.encoding.tutorial import to_triples
from core.errors import InputError
from core.modeling.checkpoints import Checkpoint
from core.modeling.sounding import canonical_events
from core.modeling.tutorial import build_keras_model
from core.music.notes import Notes
from core.sampling.blocks import run_blocks
from core.sampling.composer import Composer, CompositionInterrupted
from core.sampling.grammar import Limits, advance, allowed_events, initial_grammar
from core.sampling.settings import TakeSettings
from core.sampling.tutorial_loop import TutorialProgram, prepare_tutorial
from core.sampling.uniforms import Uniforms
from core.training.settings import TutorialSettings

pytestmark = pytest.mark.slow


def _compose(
    composer: Any, seeds: range, settings: TakeSettings, primer: Notes | None = None, temperature: float = 1.0
) -> list[Notes]:
    takes: dict[int, Notes] = {}
    requests = [(seed, temperature) for seed in seeds]
    composer.compose(requests, settings, primer, takes.__setitem__, lambda: False)
    return [takes[index] for index in range(len(requests))]


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


class _Sounding:
    """What sounds, by hand: when each pitch was last struck or released, in ticks, and which are held."""

    def __init__(self) -> None:
        self.now, self.changed, self.held = 0, dict[int, int](), set[int]()

    def read(self, event: int) -> None:
        if event < 256:
            self.changed[event % 128] = self.now
            (self.held.add if event < 128 else self.held.discard)(event % 128)
        elif event < 356:
            self.now += event - 255

    def beside(self, w: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        sounds, ages = np.zeros(128), np.zeros(128)
        for pitch in self.held:
            sounds[pitch], ages[pitch] = 1, np.log(1 + min(self.now - self.changed[pitch], 800)) / np.log(801)
        hidden = np.concatenate([sounds, ages]) @ w["sounding.kernel"] + w["sounding.bias"]
        return np.asarray(np.maximum(hidden, 0) @ w["beside.kernel"])

    def told(self, output: NDArray[np.float64]) -> NDArray[np.float64]:
        logits = output[:390].copy()
        for pitch in range(128):
            ticks = self.now - self.changed.get(pitch, -10_000)
            if ticks > 0:
                age = int((ticks >= AGE_EDGES).sum()) - 1
                logits[pitch] += output[390 + age]
                logits[128 + pitch] += output[390 + AGE_COUNT + age]
        return logits


@pytest.mark.parametrize("sounding", [False, True])
@pytest.mark.parametrize("primed", [False, True])
def test_events_equal_a_plain_numpy_loop(
    primed: bool, sounding: bool, events_checkpoint: Checkpoint, plain_events_checkpoint: Checkpoint, primer: Notes
) -> None:
    """The same uniforms and the same rules, event by event in double precision."""
    settings, start = TakeSettings(length=15), encode(primer)[:-1] if primed else np.array([BEGIN], np.uint16)
    limits = Limits.of(settings)
    checkpoint = events_checkpoint if sounding else plain_events_checkpoint
    (take,) = _compose(Composer(checkpoint), range(5, 6), settings, primer if primed else None, temperature=0.8)
    w = {name: array.astype(np.float64) for name, array in checkpoint.weights.items()}
    state = [(np.zeros(24), np.zeros(24)) for _ in range(2)]
    grammar: Any = initial_grammar(1)
    facts: Any = no_facts(1)
    known = _Sounding()
    numbers, events = iter(Uniforms(5).take(2000)), []

    def read(event: int) -> NDArray[np.float64]:
        known.read(event)
        flow = w["embedding"][event]
        for layer, (h, c) in enumerate(state):
            z = flow @ w[f"lstm_{layer}.kernel"] + w[f"lstm_{layer}.bias"] + h @ w[f"lstm_{layer}.recurrent"]
            if sounding and layer == 0:
                z = z + known.beside(w)
            i, f, g, o = np.split(z, 4)
            c_after = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            flow = _sigmoid(o) * np.tanh(c_after)
            state[layer] = (flow, c_after)
        output = flow @ w["output.kernel"] + w["output.bias"]
        return known.told(output) if sounding else output

    for event in start[:-1]:
        read(int(event))
    event = int(start[-1])
    facts = facts_after(start[:-1].astype(np.int64), facts)
    while not bool(np.asarray(grammar["done"])[0]):
        logits = read(event) / 0.8
        facts = facts_after(np.array([event]), facts)
        allowed = np.asarray(allowed_events(grammar, facts, limits.tensors()))[0]
        canonical = np.asarray(canonical_events(np.array([event], np.int32), facts))[0]
        if sounding and (allowed & canonical).any():
            allowed = allowed & canonical
        weights = np.where(allowed, np.exp(logits - logits[allowed].max()), 0)
        event = int((np.cumsum(weights) > next(numbers) * weights.sum()).argmax())
        events.append(event)
        grammar = advance(grammar, facts, np.array([event], np.int32), limits.tensors())
    loudness = [event for event in start if 356 <= event < 388][-1:]
    expected = decode(np.array([*loudness, *events], np.uint16))
    assert len(take) == len(expected) == 15
    for ours, theirs in (
        (take.onset_seconds, expected.onset_seconds),
        (take.duration_seconds, expected.duration_seconds),
        (take.pitch, expected.pitch),
        (take.velocity, expected.velocity),
    ):
        np.testing.assert_allclose(ours, theirs)


def test_tutorial_predicts_as_keras_predict_on_the_same_windows(tutorial_checkpoint: Checkpoint, primer: Notes) -> None:
    settings = tutorial_checkpoint.family_settings
    assert isinstance(settings, TutorialSettings)
    model = build_keras_model(settings, tutorial_checkpoint.weights)
    program = TutorialProgram(settings.window, rows=2, steps=50)
    loops = program.loops(
        1, prepare_tutorial(tutorial_checkpoint.weights), TakeSettings(length=70), primer, traced=True
    )
    takes: dict[int, Any] = {}
    requests = [(seed, 1.0) for seed in (4, 9, 11)]  # the third begins where the first or second has ended
    run_blocks(loops, requests, lambda index, values, logits: takes.update({index: (values, logits)}), lambda: False)
    for index, (seed, _) in enumerate(requests):
        take, logits = takes[index]
        assert take.shape == (70, 3)
        # Every window that the take's notes were predicted from, the primer's last notes first.
        history = np.concatenate((to_triples(primer), take))[-95:] / np.array([128, 1, 1], np.float32)
        windows = np.stack([history[at : at + 25] for at in range(70)]).astype(np.float32)
        predicted = model.predict(windows, verbose=0)
        np.testing.assert_allclose(logits, predicted["pitch"], atol=1e-5)
        np.testing.assert_allclose(take[:, 1], np.maximum(predicted["step"][:, 0], 0), atol=1e-5)
        np.testing.assert_allclose(take[:, 2], np.maximum(predicted["duration"][:, 0], 0), atol=1e-5)
        weights = np.exp(predicted["pitch"].astype(np.float64))
        upto = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
        drawn = (upto > Uniforms(seed).take(70)[:, None]).argmax(axis=1)
        assert (drawn == take[:, 0]).mean() > 0.9  # all but pitches that had just been struck, and ties


@pytest.mark.parametrize("family", ["events", "tutorial"])
@pytest.mark.parametrize("tempo", [0.5, 1.0, 3.0])
def test_has_exactly_the_length_asked_for(
    family: str, tempo: float, request: pytest.FixtureRequest, primer: Notes
) -> None:
    composer = request.getfixturevalue(f"{family}_composer")
    for take in _compose(composer, range(10), TakeSettings(length=33, tempo_factor=tempo), primer):
        assert len(take) == 33
        assert take.duration_seconds.min() > 0
    for take in _compose(
        composer, range(10), TakeSettings(length_unit="seconds", length=4, tempo_factor=tempo), primer
    ):
        assert len(take) > 0
        assert take.onset_seconds.max() < 4
        assert take.end_seconds <= 4 + 1e-9
        assert take.duration_seconds.min() > 0


@pytest.mark.parametrize("family", ["events", "tutorial"])
def test_tempo_and_velocity_change_nothing_else(family: str, request: pytest.FixtureRequest, primer: Notes) -> None:
    composer = request.getfixturevalue(f"{family}_composer")
    (plain,) = _compose(composer, range(1), TakeSettings(length=20), primer)
    (changed,) = _compose(composer, range(1), TakeSettings(length=20, tempo_factor=2, velocity=99), primer)
    assert (changed.pitch == plain.pitch).all()
    np.testing.assert_allclose(changed.onset_seconds, plain.onset_seconds / 2)
    assert (changed.velocity == 99).all()


def test_may_end_early(plain_events_checkpoint: Checkpoint) -> None:
    # What sounds would have to be released first, which a network that was never trained does not come to.
    free = _compose(
        Composer(plain_events_checkpoint), range(20), TakeSettings(length=2000, may_end_early=True), temperature=2.0
    )
    lengths = [len(take) for take in free]
    assert all(1 <= length <= 2000 for length in lengths)
    assert len(set(lengths)) > 10


def test_a_primer_changes_the_take_and_is_not_part_of_it(events_composer: Any, primer: Notes) -> None:
    without, with_primer = (
        _compose(events_composer, range(3), TakeSettings(length=20), start) for start in (None, primer)
    )
    for a, b in zip(without, with_primer, strict=True):
        assert (a.pitch != b.pitch).any()
        assert len(b) == 20
        assert b.onset_seconds[0] < 10


def test_tutorial_needs_a_primer(tutorial_composer: Any, primer: Notes) -> None:
    for start, words in ((None, "none is given"), (primer[:24], "it has 24")):
        with pytest.raises(InputError, match=words) as caught:
            _compose(tutorial_composer, range(1), TakeSettings(length=5), start)
        assert caught.value.problems[0].field == "primer"


def test_interruption_keeps_the_takes_made_so_far(events_composer: Any) -> None:
    takes: dict[int, Notes] = {}
    with pytest.raises(CompositionInterrupted):
        events_composer.compose(
            [(seed, 1.0) for seed in range(2_000)],  # more than a machine of many cores makes at once
            TakeSettings(length=30),
            None,
            takes.__setitem__,
            lambda: len(takes) >= 10,
        )
    assert 10 <= len(takes) < 2_000
    assert {index: take.pitch.tolist() for index, take in takes.items()} == {
        index: take.pitch.tolist()
        for index, take in enumerate(_compose(events_composer, range(max(takes) + 1), TakeSettings(length=30)))
        if index in takes
    }


def test_warms_up_and_measures(tutorial_composer: Any, primer: Notes) -> None:
    tutorial_composer.warm_up()
    assert tutorial_composer.notes_per_second == 0
    _compose(tutorial_composer, range(4), TakeSettings(length=50), primer)
    assert tutorial_composer.notes_per_second > 0
