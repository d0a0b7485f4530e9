"""Generating with the article's network: ours against a loop that calls `predict` once for each note."""

from __future__ import annotations

from typing import Any

from benchmarks import stages
from benchmarks.harness import Options, Row, Side, interleave, run_program, timing_notes
from benchmarks.machine import matrix_flops
from benchmarks.models import tutorial_checkpoint
from benchmarks.processes import peer_process
from core.music.notes import Notes
from core.music.reading import read_midi

_WINDOW, _UNITS, _HEADS = 25, 128, 130
# sequences: (notes of each, goal, stage)
_CASES = {
    1: (5_000, 1_500, stages.GENERATE_TUTORIAL_1),
    256: (250, 3_500, stages.GENERATE_TUTORIAL_256),
}
_PEER_NOTES = 40


def main() -> None:
    """Run it."""
    run_program(measure, repeats=3)


def measure(options: Options) -> list[Row]:
    """One row for each number of sequences."""
    from core.modeling.cores import use_one_thread
    from core.sampling.composer import Composer

    use_one_thread()  # first of all, as in a worker

    primer = read_midi(options.music.files(1)[0]).notes[:_WINDOW]
    # All open windows of a note: their states' products with the gates, and the heads of the oldest.
    limit = matrix_flops() / (2 * (_WINDOW * _UNITS * 4 * _UNITS + _UNITS * _HEADS))
    composer = Composer(tutorial_checkpoint())
    rows = []
    with peer_process("article-generation", _WINDOW, _PEER_NOTES) as article:
        for sequences, (notes, goal, stage) in _CASES.items():
            ours = _our_side(composer, primer, sequences, notes)
            timings = interleave({"ours": ours, "article": article}, options.repeats)
            row = Row(stage, "notes/s", timings["ours"].rate, "article's loop of predict", timings["article"].rate)
            row.limit, row.limit_name, row.goal = limit, "products of 25 open windows", f"≥ {goal:,} ×"
            row.met = (row.ratio or 0) >= goal
            row.notes = timing_notes(timings)
            row.notes.append(f"ours makes {sequences} × {notes:,} notes and hands them over as columns")
            row.notes.append(f"the peer makes 1 × {_PEER_NOTES} in both rows, since it does one sequence after another")
            rows.append(row)
    return rows


def _our_side(composer: Any, primer: Notes, sequences: int, notes: int) -> Side:
    from core.sampling.settings import TakeSettings

    settings = TakeSettings(length=notes)
    requests = [(seed, 1.0) for seed in range(sequences)]

    def side() -> float:
        made: list[int] = []
        composer.compose(requests, settings, primer, lambda _, take: made.append(len(take)), lambda: False)
        return float(sum(made))

    return side


if __name__ == "__main__":
    main()
