"""What a generation costs against the number of its takes and of their notes, through rows and files; with a plot."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import stages
from benchmarks.harness import Options, Row, run_program, say
from benchmarks.installation import Installation, installation
from benchmarks.models import lstm_checkpoint
from benchmarks.plot import Panel, to_svg
from core.models.jobs import Queue
from core.services.generations import create_generation
from core.services.models import upload_model

_PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "growth.svg"
_TAKES, _NOTES_OF_EACH = (1, 10, 100, 1_000, 10_000), 20
_NOTES, _TAKES_OF_EACH = (100, 300, 1_000, 3_000, 10_000), 8
_LARGEST_GROWTH = 1.15


def main() -> None:
    """Run it."""
    run_program(measure, repeats=1)


def measure(options: Options) -> list[Row]:
    """How much the last factor of ten adds to the cost of a take, and to that of a note; 1 is a straight line."""
    from core.modeling.cores import use_one_thread

    use_one_thread()  # first of all, as in a worker
    checkpoint = lstm_checkpoint(64, 256)
    with installation() as place:
        model = upload_model(place.database, place.store, checkpoint.to_bytes(), name="Starter").id
        _generate(place, model, 100, _NOTES_OF_EACH)
        by_takes = [(takes, _best(options, place, model, takes, _NOTES_OF_EACH)) for takes in _TAKES]
        by_notes = [(notes, _best(options, place, model, _TAKES_OF_EACH, notes)) for notes in _NOTES]
    _PICTURE.write_text(
        to_svg(
            [
                Panel(f"Takes of {_NOTES_OF_EACH} notes", "takes", "seconds", {"a generation": by_takes}),
                Panel(
                    f"{_TAKES_OF_EACH} takes of so many notes", "notes of a take", "seconds", {"a generation": by_notes}
                ),
            ]
        )
    )
    rows = []
    for stage, points, short in ((stages.GROWTH_TAKES, by_takes, 1_000), (stages.GROWTH_NOTES, by_notes, 1_000)):
        seconds = dict(points)
        growth = (seconds[10_000] / 10_000) / (seconds[short] / short)
        notes = [f"{number:,}: {second:.2f} s" for number, second in points]
        notes.append(
            "request to files and rows in one warm process, LSTM(256) Starter; drawn in docs/images/growth.svg"
        )
        rows.append(
            Row(
                stage, "× the cost of each", growth, lower_is_better=True, goal="a straight line",
                met=growth <= _LARGEST_GROWTH, notes=notes,
            )
        )  # fmt: skip
    return rows


def _best(options: Options, place: Installation, model: int, takes: int, notes: int) -> float:
    """The shortest of the repeats; small ones have more, since what else the machine does weighs more there."""
    repeats = options.repeats if takes * notes >= 10_000 else max(options.repeats, 3)
    seconds = min(_generate(place, model, takes, notes) for _ in range(repeats))
    say(f"{takes:,} takes of {notes:,} notes: {seconds:.2f} s")
    return seconds


def _generate(place: Installation, model: int, takes: int, notes: int) -> float:
    started = time.perf_counter()
    with place.database.transaction() as session:
        values = {"seeds": f"0-{takes - 1}", "length": notes}
        create_generation(session, place.store, model_id=model, values=values)
    place.run_waiting(Queue.GENERATION)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
