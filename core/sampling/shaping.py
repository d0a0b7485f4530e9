"""Changes to the logits before a draw: pitches struck too often, music too dense or too thin, events too unlikely.

All functions are pure and run in the compiled loop; times are in ticks of 10 ms where not said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.encoding.performance import BEGIN, NOTE_OFF, STEPS_PER_SECOND, TIME_SHIFT, VELOCITY
from core.modeling.backend import Tensor, Tree
from core.music.notes import PITCH_COUNT, Notes
from core.sampling.settings import TakeSettings

# A pitch's count of strikes halves with so many notes, and the rates are those of about so many seconds.
_STRIKES_HALVE_NOTES = 8
_RATES_HALVE_SECONDS = 8.0
_TRUST_SECONDS = 4.0
# How far from the target a correction still grows, and how strong it is. The recent rates alone pull back a trained
# network too weakly to reach a target: it holds against it with what it has learned. So what was missed counts too, as
# the seconds by which the take is ahead of its target, up to some, until the rates are as asked. Found by trial on the
# model that comes with Cadenza: four times the gain comes nearer to the target, and its music apart.
_LARGEST_ERROR = 1.0
_AHEAD_GAIN, _MOST_AHEAD_SECONDS = 0.5, 6.0
_ONSET_GAIN, _SHIFT_GAIN, _STEP_GAIN = 4.0, 2.0, 8.0
_USUAL_SHIFT = 10.0


@dataclass(frozen=True, slots=True)
class Shaping:
    """What a take's settings ask of the logits.

    Attributes:
        min_p: events less likely than this share of the likeliest are ruled out (Nguyen et al. 2024); 0 for none.
        guard: how much a logit falls for each recent strike of its pitch beyond the first; 0 for not at all.
        density: notes a second that the take shall have; 0 for what comes.
        pace: moments with an onset a second, chords counting once; 0 for what comes.
    """

    min_p: float
    guard: float
    density: float
    pace: float

    @classmethod
    def of(cls, settings: TakeSettings, primer: Notes | None) -> Shaping:
        """Targets of a take before its tempo factor; `follow_primer` takes them from the primer where none are set."""
        density, pace = settings.density / settings.tempo_factor, settings.pace / settings.tempo_factor
        if settings.follow_primer and primer is not None and len(primer) > 1:
            span = max(float(primer.onset_seconds[-1] - primer.onset_seconds[0]), 1.0)
            density = density or len(primer) / span
            pace = pace or len(np.unique(np.rint(primer.onset_seconds * STEPS_PER_SECOND))) / span
        return cls(settings.min_p, settings.repetition_guard, density, pace)

    def tensors(self) -> dict[str, np.generic]:
        """The same as scalars for the compiled loop, so that other values need no other compilation."""
        return {
            "least_share": np.float32(np.log(max(self.min_p, 1e-30))),
            "guard": np.float32(self.guard),
            "density": np.float32(self.density),
            "pace": np.float32(self.pace),
        }

    def start(self, rows: int) -> dict[str, NDArray[np.float32]]:
        """The state of so many rows before their first event: as if the last seconds had been as asked.

        `notes_ahead` and `onsets_ahead` are the seconds by which a take has more notes, or moments, than it should have
        by now; negative where it has fewer.
        """
        return {
            "strikes": np.zeros((rows, PITCH_COUNT), np.float32),
            "seconds": np.full(rows, _TRUST_SECONDS, np.float32),
            "notes": np.full(rows, _TRUST_SECONDS * self.density, np.float32),
            "onsets": np.full(rows, _TRUST_SECONDS * self.pace, np.float32),
            "notes_ahead": np.zeros(rows, np.float32),
            "onsets_ahead": np.zeros(rows, np.float32),
        }


def guard_pitches(logits: Tensor, state: Tree, wanted: Tree) -> Tensor:
    """Lower the logits of pitches `[rows, 128]` that were struck again and again."""
    return logits - wanted["guard"] * ops.maximum(state["strikes"] - 1.0, 0.0)


def guide_events(logits: Tensor, state: Tree, grammar: Tree, wanted: Tree) -> Tensor:
    """Lean `[rows, 390]` logits towards the density and pace asked for, and away from pitches struck too often."""
    crowding, hurry = _errors(state, wanted)
    crowding, hurry = crowding + _AHEAD_GAIN * state["notes_ahead"], hurry + _AHEAD_GAIN * state["onsets_ahead"]
    new = _is_new_moment(grammar)
    chords = ops.where(wanted["density"] > 0, ops.where(wanted["pace"] > 0, crowding - hurry, crowding), 0.0)
    lean = _ONSET_GAIN * ops.where(new, ops.where(wanted["pace"] > 0, hurry, crowding), chords)
    # After a velocity the note has been decided on.
    lean = ops.where(grammar["after_velocity"], 0.0, lean)[:, None]
    ticks = np.log(np.arange(1, VELOCITY - TIME_SHIFT + 1) / _USUAL_SHIFT).astype(np.float32)
    longer = _SHIFT_GAIN * ops.where(wanted["pace"] > 0, hurry, crowding)[:, None] * ticks
    return ops.concatenate(
        [
            guard_pitches(logits[:, :NOTE_OFF], state, wanted) - lean,
            logits[:, NOTE_OFF:TIME_SHIFT],
            logits[:, TIME_SHIFT:VELOCITY] + longer,
            logits[:, VELOCITY:BEGIN] - lean,
            logits[:, BEGIN:],
        ],
        axis=-1,
    )


def rule_out_unlikely(logits: Tensor, wanted: Tree, ruled_out: float) -> Tensor:
    """Rule out what is less likely than `min_p` times the likeliest."""
    least = ops.max(logits, axis=-1, keepdims=True) + wanted["least_share"]
    return ops.where(logits >= least, logits, ruled_out)


def stretch_of(state: Tree, wanted: Tree) -> Tensor:
    """By how much `tutorial`'s next step is stretched, `[rows]`; it has one note at a time, so either target counts."""
    crowding, hurry = _errors(state, wanted)
    return ops.exp(_STEP_GAIN * ops.where(wanted["density"] > 0, crowding, hurry))


def after_note(state: Tree, is_note: Tensor, pitch: Tensor, is_new: Tensor) -> Tree:
    """The state after a note-on of `pitch` in the rows where `is_note`; `is_new` begins a moment of its own."""
    struck = ops.cast(ops.arange(PITCH_COUNT, dtype="int32") == pitch[:, None], "float32")
    strikes = state["strikes"] * 2.0 ** (-1 / _STRIKES_HALVE_NOTES) + struck
    return {
        **state,
        "strikes": ops.where(is_note[:, None], strikes, state["strikes"]),
        "notes": state["notes"] + ops.cast(is_note, "float32"),
        "onsets": state["onsets"] + ops.cast(is_note & is_new, "float32"),
    }


def after_time(state: Tree, seconds: Tensor) -> Tree:
    """The state after so many seconds `[rows]`, 0 where none passed."""
    faded = 2.0 ** (-seconds / _RATES_HALVE_SECONDS)
    return {
        **state,
        "seconds": state["seconds"] * faded + seconds,
        "notes": state["notes"] * faded,
        "onsets": state["onsets"] * faded,
    }


def after_event(state: Tree, grammar: Tree, event: Tensor, wanted: Tree) -> Tree:
    """The state after one event of each row; `grammar` is its state before the event."""
    is_shift = (event >= TIME_SHIFT) & (event < VELOCITY)
    seconds = ops.where(is_shift, ops.cast(event - TIME_SHIFT + 1, "float32") / STEPS_PER_SECOND, 0.0)
    is_note, new = event < NOTE_OFF, _is_new_moment(grammar)

    def ahead(before: Tensor, counts: Tensor, target: Tensor) -> Tensor:
        gained = ops.where(counts & (target > 0), 1.0 / ops.maximum(target, 1e-3), 0.0)
        after = before + gained - ops.where(target > 0, seconds, 0.0)
        return ops.minimum(ops.maximum(after, -_MOST_AHEAD_SECONDS), _MOST_AHEAD_SECONDS)

    return {
        **after_note(after_time(state, seconds), is_note, event, new),
        "notes_ahead": ahead(state["notes_ahead"], is_note, wanted["density"]),
        "onsets_ahead": ahead(state["onsets_ahead"], is_note & new, wanted["pace"]),
    }


def _is_new_moment(grammar: Tree) -> Tensor:
    """bool `[rows]`: whether a note would be the first at its instant."""
    return (grammar["time"] > grammar["last_onset"]) | (grammar["notes"] == 0)


def _errors(state: Tree, wanted: Tree) -> tuple[Tensor, Tensor]:
    """Logarithms of the recent rates over those asked for: of notes, and of moments with an onset; 0 where none is."""

    def error(count: Tensor, target: Tensor) -> Tensor:
        rate = ops.maximum(count / state["seconds"], 1e-3)
        off = ops.log(rate / ops.maximum(target, 1e-3))
        return ops.where(target > 0, ops.minimum(ops.maximum(off, -_LARGEST_ERROR), _LARGEST_ERROR), 0.0)

    return error(state["notes"], wanted["density"]), error(state["onsets"], wanted["pace"])
