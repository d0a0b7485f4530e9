"""Held-out negative log likelihood of whole pieces, for every family that reads and writes events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from core.encoding.performance import STEPS_PER_SECOND, TIME_SHIFT, VELOCITY, encode
from core.modeling.backend import make_deterministic, to_device
from core.modeling.checkpoints import Checkpoint
from core.modeling.network import build_network
from core.music.notes import Notes
from core.training.heldout import Evaluator

_GROUP = 16


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Sums over the pieces read so far; the begin and end of pieces are not counted.

    Attributes:
        nats: negative log likelihood; `events`, `notes`, `seconds`: of the music that was counted.
        pieces: how many were read, in the order of their lengths; where an interrupted evaluation goes on.
    """

    nats: float = 0.0
    events: int = 0
    notes: int = 0
    seconds: float = 0.0
    pieces: int = 0

    def figures(self) -> dict[str, float]:
        """The sums and the three means: by event, by note, by second. A wordier encoding lowers only the first."""
        means = {
            f"nats_per_{unit}": self.nats / max(amount, 1e-9)
            for unit, amount in (("event", self.events), ("note", self.notes), ("second", self.seconds))
        }
        return {**means, **asdict(self)}


def held_out_likelihood(
    checkpoint: Checkpoint,
    pieces: Sequence[Notes],
    between: Callable[[Likelihood], None],
    start: Likelihood | None = None,
) -> Likelihood:
    """Read whole pieces from start to end with the state carried along, each event counted once.

    Pieces of similar length are read side by side, so that little is padding.

    Args:
        checkpoint: of any family but `tutorial`.
        pieces: held out; those without notes add nothing.
        between: called several times a second with what is complete so far; may raise to interrupt.
        start: what an interrupted evaluation of the same pieces handed to `between` last.

    Raises:
        TypeError: the family has no network over events.
    """
    make_deterministic()
    done = start or Likelihood()
    streams = sorted((encode(piece) for piece in pieces if len(piece)), key=len)
    evaluator = Evaluator(build_network(checkpoint.family_settings))
    weights = to_device(checkpoint.weights)
    for first in range(done.pieces, len(streams), _GROUP):
        group = streams[first : first + _GROUP]
        figure = evaluator.evaluate(weights, group, _saying(between, done))
        seconds = sum(_seconds(stream) for stream in group)
        done = Likelihood(
            done.nats + figure.nats,
            done.events + figure.events,
            done.notes + figure.notes,
            done.seconds + seconds,
            first + len(group),
        )
    between(done)
    return done


def _saying(between: Callable[[Likelihood], None], so_far: Likelihood) -> Callable[[object], None]:
    """What to call within a group: it tells what was complete before the group."""
    return lambda _done: between(so_far)


def _seconds(stream: NDArray[np.uint16]) -> float:
    shifts = stream[(stream >= TIME_SHIFT) & (stream < VELOCITY)].astype(np.int64)
    return float((shifts - (TIME_SHIFT - 1)).sum()) / STEPS_PER_SECOND
