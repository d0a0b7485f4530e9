"""A generation of 1,000 seeds through rows and files, against the sampler's own time for the same tiles."""

from __future__ import annotations

import time

from sqlalchemy import func, select

from benchmarks import stages
from benchmarks.harness import Options, Row, Sample, interleave, run_program, timing_notes
from benchmarks.installation import installation
from benchmarks.models import lstm_checkpoint
from core.models.generations import Take
from core.models.jobs import Queue
from core.sampling.settings import GenerationSettings
from core.services.generations import create_generation, tile_size
from core.services.models import upload_model
from webui.takes_zip import stream_takes

_SEEDS, _NOTES = 1_000, 500
_STARTER = {"embedding": 64, "units": 256}
_GOAL = 0.25


def main() -> None:
    """Run it."""
    run_program(measure, repeats=2)


def measure(options: Options) -> list[Row]:
    """One row: both in takes per second, the overhead in the notes."""
    from core.modeling.cores import use_one_thread
    from core.sampling.composer import Composer

    use_one_thread()  # first of all, as in a worker
    checkpoint = lstm_checkpoint(**_STARTER)
    composer = Composer(checkpoint)
    values = {"seeds": f"0-{_SEEDS - 1}", "length": _NOTES}
    settings = GenerationSettings.parse(values)
    plan, take, tile = settings.plan(), settings.of_take(1.0), tile_size(settings)
    zipping: list[float] = []
    with installation() as place:
        model = upload_model(place.database, place.store, checkpoint.to_bytes(), name="Starter")

        def whole(seeds: str = str(values["seeds"])) -> float:
            with place.database.transaction() as session:
                generation = create_generation(
                    session, place.store, model_id=model.id, values={**values, "seeds": seeds}
                ).id
            place.run_waiting(Queue.GENERATION)
            started = time.perf_counter()
            sent = sum(len(block) for block in stream_takes(place.database, place.store, generation)[1])
            zipping.append(time.perf_counter() - started)
            with place.database.reading() as session:
                count = session.scalar(select(func.count()).where(Take.generation_id == generation)) or 0
            assert sent > 0
            return float(count)

        def sampler() -> Sample:
            started = time.perf_counter()
            made: list[int] = []
            for first in range(0, len(plan), tile):
                composer.compose(
                    plan[first : first + tile], take, None, lambda index, _: made.append(index), lambda: False
                )
            return Sample(len(made), time.perf_counter() - started)

        # Warm: the model loaded and compiled, as in a worker that has served it before.
        composer.warm_up()
        whole("0-7")
        timings = interleave({"ours": whole, "sampler": sampler}, options.repeats, warm_up=False)
    overhead = timings["sampler"].rate / timings["ours"].rate - 1
    return [
        Row(
            stages.OVERHEAD, "takes/s", timings["ours"].rate, "the sampler alone, same tiles", timings["sampler"].rate,
            goal=f"overhead ≤ {_GOAL:.0%}", met=overhead <= _GOAL,
            notes=[
                f"overhead {overhead:.1%}", *timing_notes(timings), f"of it the zip {zipping[-1]:.2f} s",
                "one process, warm, on SQLite; LSTM(256) Starter with fresh weights",
            ],
        )
    ]  # fmt: skip


if __name__ == "__main__":
    main()
