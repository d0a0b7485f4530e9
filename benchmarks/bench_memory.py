"""Whether a worker's memory stays flat over 200 generations."""

from __future__ import annotations

import psutil

from benchmarks import stages
from benchmarks.harness import Options, Row, run_program, say
from benchmarks.installation import Installation, installation, wait_until
from benchmarks.models import lstm_checkpoint
from core.models.jobs import Job, Queue
from core.models.workers import Worker
from core.services.generations import create_generation
from core.services.models import upload_model
from worker.tickets import Tickets

_GENERATIONS = 200
_WARM = 20
_LARGEST_GROWTH = 0.02
# Different lengths and numbers of takes, so that what is kept for each would show.
_SHAPES = ((1, 40), (8, 40), (20, 10), (3, 80))


def main() -> None:
    """Run it."""
    run_program(measure, repeats=1)


def measure(options: Options) -> list[Row]:
    """Growth of the resident memory of the worker's child from the 20th generation to the 200th."""
    del options
    megabytes: dict[int, float] = {}
    with installation(broker=True) as place:
        tickets = Tickets(place.settings)
        checkpoint = lstm_checkpoint(64, 256)
        model = upload_model(place.database, place.store, checkpoint.to_bytes(), name="Starter").id
        with place.worker(Queue.GENERATION):
            for number in range(1, _GENERATIONS + 1):
                takes, notes = _SHAPES[number % len(_SHAPES)]
                with place.database.transaction() as session:
                    values = {"seeds": f"{number}-{number + takes - 1}", "length": notes}
                    made = create_generation(session, place.store, model_id=model, values=values)
                tickets.send(Queue.GENERATION, 1, made.job_id or 0)
                _wait_for(place, made.job_id or 0)
                if number % 20 == 0:
                    megabytes[number] = _resident_bytes(place) / 2**20
                    say(f"{number} generations: {megabytes[number]:.1f} MB")
    growth = megabytes[_GENERATIONS] / megabytes[_WARM] - 1
    return [
        Row(
            stages.MEMORY, "% more", 100 * growth, lower_is_better=True, goal="flat",
            met=growth <= _LARGEST_GROWTH,
            notes=[
                f"from generation {_WARM} to {_GENERATIONS}; flat is at most {_LARGEST_GROWTH:.0%}",
                "MB after so many: " + ", ".join(f"{number}: {size:.0f}" for number, size in megabytes.items()),
            ],
        )
    ]  # fmt: skip


def _wait_for(place: Installation, job_id: int) -> None:
    def ended() -> bool:
        with place.database.reading() as session:
            return session.get_one(Job, job_id).state.is_final

    wait_until(ended, lambda: True, place.settings.data_dir / "worker.log", pause=0.01)


def _resident_bytes(place: Installation) -> int:
    with place.database.reading() as session:
        pid = session.get_one(Worker, "bench").pid
    return int(psutil.Process(pid).memory_info().rss)


if __name__ == "__main__":
    main()
