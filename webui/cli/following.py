"""Staying with a job until it has ended, with a progress bar on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from webui.cli.client import ApiClient
from webui.cli.refusal import Refusal
from webui.cli.tables import duration

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})
_POLL_SECONDS = 0.5
_INTERRUPTED = 130


@contextmanager
def leaving_it_running(job_id: int) -> Iterator[None]:
    """Ctrl-C in this block leaves the job running, and says how to cancel it; exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"Job {job_id} goes on. Cancel it with: cadenza cancel {job_id}", err=True)
        raise SystemExit(_INTERRUPTED) from None


def wait_for_job(client: ApiClient, job_id: int, on_change: Callable[[Progress], None] | None = None) -> dict[str, Any]:
    """Show a job's progress until it has ended; `on_change` is called at each look, and once more at the end.

    Returns:
        the job as it ended, well.

    Raises:
        Refusal: it failed or was cancelled.
        SystemExit: Ctrl-C, which leaves the job running.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
    with leaving_it_running(job_id), Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"job {job_id}", total=None, figures="")
        while True:
            job: dict[str, Any] = client.get(f"/jobs/{job_id}")
            progress.update(
                bar,
                description=job["phase"] or _standing(job),
                total=job["progress_total"] or None,
                completed=job["progress_done"],
                figures=_figures(job),
            )
            if on_change:
                on_change(progress)
            if job["state"] in FINAL_STATES:
                break
            time.sleep(_POLL_SECONDS)
    if job["state"] == "failed":
        raise Refusal(f"Job {job_id} failed: {job['error'] or 'see its log'} (cadenza job {job_id} --log)")
    if job["state"] == "cancelled":
        raise Refusal(f"Job {job_id} was cancelled.")
    return job


def _standing(job: dict[str, Any]) -> str:
    if job["state"] != "queued":
        return "cancelling" if job["cancel_requested"] else str(job["state"])
    return f"waiting: {job['why_waiting']}" if job["why_waiting"] else "waiting"


def _figures(job: dict[str, Any]) -> str:
    parts = []
    if job["progress_total"]:
        parts.append(f"{job['progress_done']:,.0f}/{job['progress_total']:,.0f} {job['progress_unit']}".rstrip())
    if job["rate"]:
        parts.append(f"{job['rate']:,.0f} {job['rate_unit']}".rstrip())
    if job["seconds_left"] is not None and job["state"] == "running":
        parts.append(f"{duration(job['seconds_left'])} left")
    return "  ".join(parts)
