"""Training LSTM(512) over events: ours against torch.nn.LSTM and keras.layers.LSTM at the same shapes."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec

from benchmarks import stages
from benchmarks.harness import Options, Row, Side, Timing, interleave, missing_peer, run_program, timing_notes
from benchmarks.machine import matrix_flops
from benchmarks.peers import CLIP, DECAY, EMBEDDING, RATE, UNITS, WINDOW
from benchmarks.processes import peer_process
from core.datasets.corpus import Corpus
from core.encoding.performance import SIZE
from core.music.reading import read_midi

_FILES = 8
_EVENTS_PER_RUN = 32_768
_STAGES = {32: stages.TRAIN_LSTM_32, 64: stages.TRAIN_LSTM_64}
_PEERS = {"torch": ("torch.nn.LSTM", 1.0), "keras": ("keras.layers.LSTM", 1.3)}
_GOAL_SHARE = 0.6
_UNIT = "events/s"


def main() -> None:
    """Run it."""
    run_program(measure, repeats=3)


def measure(options: Options) -> list[Row]:
    """A row for each batch size and peer."""
    flops = matrix_flops()
    rows = []
    for batch, stage in _STAGES.items():
        events = batch * WINDOW
        steps = max(2, _EVENTS_PER_RUN // events)
        with ExitStack() as stack:
            sides: dict[str, Side] = {"ours": our_training(options, batch, steps)}
            for name in _PEERS:
                if find_spec(name) is not None:
                    sides[name] = stack.enter_context(peer_process(f"{name}-training", batch, steps))
            timings = interleave(sides, options.repeats)
        # What cannot be avoided, forward and twice backward: products of the 390 inputs, of states and outputs.
        step_flops = 3 * 2 * (SIZE * EMBEDDING * 4 * UNITS + events * UNITS * (4 * UNITS + SIZE))
        limit = flops / step_flops * events
        rows += [_row(stage, name, timings, limit) for name in _PEERS]
    return rows


def _row(stage: str, name: str, timings: dict[str, Timing], limit: float) -> Row:
    title, goal = _PEERS[name]
    if name not in timings:
        row = missing_peer(stage, _UNIT, timings["ours"], title)
    else:
        row = Row(stage, _UNIT, timings["ours"].rate, title, timings[name].rate)
        row.notes = timing_notes({"ours": timings["ours"], name: timings[name]})
        row.notes.append("ours cuts and augments its windows while it trains, the peer's lie ready")
    row.limit, row.limit_name = limit, "matrix products alone"
    row.goal = f"≥ {goal} ×, share ≥ {_GOAL_SHARE:.0%}"
    if row.ratio is not None:
        row.met = row.ratio >= goal and (row.share or 0) >= _GOAL_SHARE
    return row


def our_training(options: Options, batch: int, steps: int, window: int = WINDOW) -> Side:
    """Steps of our own training on some of the music, in events."""
    from core.training.events_run import EventTraining
    from core.training.hooks import SilentHooks
    from core.training.settings import LstmSettings

    pieces = [read_midi(data).notes for data in options.music.files(_FILES)]
    corpus = Corpus.of(pieces, ["validation" if number == 0 else "train" for number in range(len(pieces))])
    settings = LstmSettings(
        embedding=EMBEDDING,
        units=UNITS,
        layers=1,
        sounding=False,  # as the peers
        optimizer="adamw",  # likewise
        batch_size=batch,
        window=window,
        steps=1_000_000,
        learning_rate=RATE,
        weight_decay=DECAY,
        clip_norm=CLIP,
        evaluate_every=1_000_000,
    )
    training = EventTraining(settings, corpus, SilentHooks(), resume_seconds=1e9)

    def side() -> float:
        for _ in range(steps):
            training._advance()  # one step of the training's own loop, which alone can be run in turns
        return float(steps * batch * window)

    return side


if __name__ == "__main__":
    main()
