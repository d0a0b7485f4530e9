"""After the commit: tell the workers of a job's queue that units wait."""

from __future__ import annotations

from core.models.jobs import Job
from core.settings import Settings


def send_tickets_for(settings: Settings, job: Job, units: int = 1) -> None:
    """Send a ticket for each of the first few units; a broker that is away is no error, maintenance tops up."""
    from webui.tickets import send_tickets  # loads the broker's client, which most requests never need

    send_tickets(settings, job.queue.value, min(max(units, 1), 8), job.id)
