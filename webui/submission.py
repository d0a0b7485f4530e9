"""After the commit: tell the workers of a job's queue that units wait."""

from __future__ import annotations

from core.models.jobs import Job, JobKind
from core.settings import Settings

# A ticket claims nothing: too few are topped up by maintenance, too many find nothing to do.
_MOST_TICKETS = 8


def send_tickets_for(settings: Settings, job: Job, units: int | None = None) -> None:
    """Send a ticket for each of the first few units; a broker that is away is no error.

    `units` need not be exact; by default it is one, or several for a job of many tiles.
    """
    from webui.tickets import send_tickets  # loads the broker's client, which most requests never need

    wanted = units or (_MOST_TICKETS if job.kind is JobKind.GENERATION else 1)
    send_tickets(settings, job.queue.value, min(wanted, _MOST_TICKETS), job.id)
