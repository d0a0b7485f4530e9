"""Held-out negative log likelihood of whole pieces, for every family that reads and writes events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from core.encoding.performance import STEPS_PER_SECOND, encode
from core.modeling.backend import make_deterministic, to_device
from core.modeling.checkpoints import Checkpoint
from core.modeling.device_memory import model_has_no_room, unless_memory_is_full
from core.music.notes import Notes
from core.training.heldout import PIECES_AT_ONCE, Evaluator, HeldOut


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
        return {**self.place().means(), **asdict(self)}

    def place(self) -> HeldOut:
        """Where an evaluation of the same pieces goes on: at the beginning of a group."""
        ticks = round(self.seconds * STEPS_PER_SECOND)
        return HeldOut(self.nats, self.events, self.notes, ticks, -(-self.pieces // PIECES_AT_ONCE))


def held_out_likelihood(
    checkpoint: Checkpoint,
    pieces: Sequence[Notes],
    between: Callable[[Likelihood], None],
    start: Likelihood | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> Likelihood:
    """Read whole pieces from start to end with the state carried along, each event counted once.

    Pieces of similar length are read side by side, so that little is padding.

    Args:
        checkpoint: of any family but `tutorial`.
        pieces: held out; those without notes add nothing.
        between: called several times a second with what is complete so far; may raise to interrupt.
        start: what an interrupted evaluation of the same pieces handed to `between` last.
        log: told in a sentence when the device's memory is full and fewer pieces are read side by side.

    Raises:
        DeviceError: the device's memory does not hold the model, or not with one piece.
        TypeError: the family has no network over events.
    """
    make_deterministic()
    streams = [encode(piece) for piece in pieces if len(piece)]
    complete = start or Likelihood()

    def told(done: HeldOut) -> None:
        nonlocal complete
        if done.place == 0:
            pieces_done = min(done.pieces, len(streams))
            complete = Likelihood(done.nats, done.events, done.notes, done.seconds, pieces_done)
        between(complete)

    with unless_memory_is_full(model_has_no_room(checkpoint.parameters)):
        weights = to_device(checkpoint.weights)
    evaluator = Evaluator(checkpoint.family_settings, log)
    evaluator.evaluate(weights, streams, told, complete.place())
    return complete
