"""Figures for Prometheus: the queue's and the workers' from the database, HTTP's own from every web process.

What the database knows is asked at each scrape, so that it is the same whichever process answers. HTTP latencies are
counted by each process; with several, they share files in a folder that the launcher of the web server names
(`PROMETHEUS_MULTIPROC_DIR`), and the process that answers adds them up.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import core
from core.models.jobs import Queue
from core.models.tallies import UnitTally
from core.models.workers import Worker, WorkerState
from core.queue.tallies import BUCKETS, Outcome, upper_end
from core.queue.waiting import oldest_waiting_seconds, queue_counts
from core.records.database import Database

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SHARED = "PROMETHEUS_MULTIPROC_DIR"
_HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_OWN = CollectorRegistry()
_HTTP = Histogram(
    "cadenza_http_request_seconds",
    "Time until the answer began, by method, kind of address and status.",
    ("method", "endpoint", "status"),
    buckets=_HTTP_BUCKETS,
    registry=_OWN,
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GPU_FIGURES = {
    "gpu_memory_used_bytes": "Memory of the worker's GPU that is in use.",
    "gpu_memory_total_bytes": "Memory of the worker's GPU.",
    "gpu_temperature_celsius": "Temperature of the worker's GPU.",
    "gpu_utilisation_percent": "Share of time in which the worker's GPU ran something.",
}


def measure_requests(app: Flask) -> None:
    """Time every request of `app`, from its first line to the beginning of its answer."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        if "began" in g:
            # Addresses that lead nowhere, and methods that nobody knows, must not make new rows without end.
            method = request.method if request.method in _METHODS else "other"
            labels = (method, request.endpoint or "none", str(response.status_code))
            _HTTP.labels(*labels).observe(time.perf_counter() - g.began)
        return response


def prometheus_text(database: Database) -> bytes:
    """All figures in Prometheus' text format."""
    registry = CollectorRegistry()
    if _SHARED in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # theirs
        found = generate_latest(registry)
    else:
        found = generate_latest(_OWN)
    registry = CollectorRegistry()
    registry.register(_Records(database))
    return generate_latest(registry) + found


class _Records(Collector):
    """What the database knows, in one look."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterable[Metric]:
        with self._database.reading() as session:
            yield _gauge("build_info", "The version that answers.", ("version",), [((core.__version__,), 1)])
            yield from _queue_figures(session)
            yield from _worker_figures(session)
            yield from _unit_figures(session)


def _queue_figures(session: Session) -> Iterator[Metric]:
    counts = queue_counts(session)
    states = ("waiting", "held", "running")
    units = [((queue.value, state), getattr(counts[queue], state)) for queue in Queue for state in states]
    yield _gauge("units", "Units by queue and state; held ones are paused.", ("queue", "state"), units)
    oldest = oldest_waiting_seconds(session)
    ages = [((queue.value,), oldest.get(queue, 0.0)) for queue in Queue]
    yield _gauge("oldest_waiting_seconds", "How long the oldest waiting unit's job has waited.", ("queue",), ages)
    serving = [((queue.value,), counts[queue].workers) for queue in Queue]
    yield _gauge("queue_workers", "Workers that serve a queue, ready or busy.", ("queue",), serving)


def _worker_figures(session: Session) -> Iterator[Metric]:
    rows = session.execute(select(Worker.state, func.count().label("workers")).group_by(Worker.state))
    found = {row.state: row.workers for row in rows}
    yield _gauge(
        "workers", "Workers by state.", ("state",), [((state.value,), found.get(state, 0)) for state in WorkerState]
    )
    workers = session.scalars(select(Worker).where(Worker.state != WorkerState.GONE).order_by(Worker.name)).all()
    named = [((each.name, each.host, each.device, each.version), 1) for each in workers]
    yield _gauge("worker_info", "Workers that are there.", ("worker", "host", "device", "version"), named)
    for figure, meaning in _GPU_FIGURES.items():
        values = [((each.name,), each.figures[figure]) for each in workers if figure in each.figures]
        yield _gauge(figure, meaning, ("worker",), values)


def _unit_figures(session: Session) -> Iterator[Metric]:
    rows = session.execute(select(UnitTally)).scalars().all()
    durations = HistogramMetricFamily(
        "cadenza_unit_seconds", "Time that attempts at units took.", labels=("kind", "outcome")
    )
    counts: dict[tuple[str, str], dict[float, int]] = defaultdict(lambda: defaultdict(int))
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        counts[row.kind.value, row.outcome][upper_end(row.bucket)] += row.count
        sums[row.kind.value, row.outcome] += row.seconds
    for labels, by_bucket in sorted(counts.items()):
        below, buckets = 0, []
        for bucket in BUCKETS:
            below += by_bucket[bucket]
            buckets.append(("+Inf" if bucket == BUCKETS[-1] else f"{bucket:g}", float(below)))
        durations.add_metric(labels, buckets, sums[labels])
    yield durations
    failures = CounterMetricFamily(
        "cadenza_unit_failures", "Attempts that failed or were lost, by reason.", labels=("kind", "outcome", "reason")
    )
    reasons: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows:
        if row.outcome in {Outcome.FAILED, Outcome.LOST}:
            reasons[row.kind.value, row.outcome, row.reason] += row.count
    for failed, count in sorted(reasons.items()):
        failures.add_metric(failed, count)
    yield failures


def _gauge(
    name: str, meaning: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"cadenza_{name}", meaning, labels=labels)
    for each, value in values:
        gauge.add_metric(each, value)
    return gauge
