"""Generating events with LSTM(512): ours, in its fixed blocks, against a PyTorch loop."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from benchmarks import stages
from benchmarks.harness import Options, Row, Side, interleave, missing_peer, run_program, timing_notes
from benchmarks.machine import matrix_flops
from benchmarks.models import lstm_checkpoint
from benchmarks.peers import EMBEDDING, UNITS
from benchmarks.processes import peer_process
from core.encoding.performance import SIZE

# sequences: (notes of each of ours, events of each of the peer's, goal, stage)
_CASES = {
    1: (500, 1_000, 1.0, stages.GENERATE_LSTM_1),
    64: (150, 200, 1.5, stages.GENERATE_LSTM_64),
    256: (75, 100, 1.5, stages.GENERATE_LSTM_256),
}
_PEER = "a PyTorch loop"
_UNIT = "events/s"


def main() -> None:
    """Run it."""
    run_program(measure, repeats=3)


def measure(options: Options) -> list[Row]:
    """One row for each number of sequences."""
    from core.modeling.cores import use_one_thread
    from core.sampling.composer import Composer

    use_one_thread()  # first of all, as in a worker

    # The state's product with the gates and the output's; the input's is looked up in a table.
    limit = matrix_flops() / (2 * UNITS * (4 * UNITS + SIZE))
    composer = Composer(lstm_checkpoint(EMBEDDING, UNITS))
    rows = []
    for sequences, (notes, events, goal, stage) in _CASES.items():
        with ExitStack() as stack:
            sides: dict[str, Side] = {"ours": _our_side(composer, sequences, notes)}
            if find_spec("torch") is not None:
                sides["torch"] = stack.enter_context(peer_process("torch-generation", sequences, events))
            timings = interleave(sides, options.repeats)
        if "torch" in timings:
            row = Row(stage, _UNIT, timings["ours"].rate, _PEER, timings["torch"].rate, notes=timing_notes(timings))
            row.met = (row.ratio or 0) >= goal
        else:
            row = missing_peer(stage, _UNIT, timings["ours"], _PEER)
        row.limit, row.limit_name, row.goal = limit, "matrix products alone", f"≥ {goal} ×"
        row.notes.append(
            f"ours makes takes of {notes} notes, the peer {events:,} events a sequence without any grammar"
        )
        rows.append(row)
    return rows


def _our_side(composer: Any, sequences: int, notes: int) -> Side:
    from core.sampling.blocks import run_blocks
    from core.sampling.settings import TakeSettings

    settings = TakeSettings(length=notes)
    requests = [(seed, 1.0) for seed in range(sequences)]
    # The composer's own loops, so that its blocks are those that takes are made in; the composer tells notes, and here
    # the events are counted.
    programs, weights = composer._programs, composer._weights

    def side() -> float:
        made: list[int] = []
        loops = programs.loops(sequences, weights, settings, None)
        run_blocks(loops, requests, lambda _index, values, _logits: made.append(len(values)), lambda: False)
        return float(sum(made))

    return side


if __name__ == "__main__":
    main()
