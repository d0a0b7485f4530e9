"""After the commit: tell the workers of a job's queue that units wait."""

from __future__ import annotations

from collections.abc import Iterable

from core.models.jobs import Job, JobKind, Queue
from core.people.rights import Right
from core.queue.placing import Placement
from core.settings import Settings
from webui.identity import current_actor

# A ticket claims nothing: too few are topped up by maintenance, too many find nothing to do.
_MOST_TICKETS = 8


def checked_placement(priority: str, start_at: str) -> Placement:
    """The place in the queue that a submission asks for.

    Raises:
        InputError: an unknown priority, or a time that cannot be.
        AccessError: the one who asks may not raise a priority above normal.
    """
    placement = Placement.parse({"priority": priority, "start_at": start_at})
    return placement.check(lambda: current_actor().require(Right.RAISE_PRIORITY))


def wake_queues(settings: Settings, queues: Iterable[Queue]) -> None:
    """Send a few tickets to the workers of queues where units may have become free to run."""
    from webui.tickets import send_tickets

    for queue in queues:
        send_tickets(settings, queue.value, _MOST_TICKETS, 0)


def send_tickets_for(settings: Settings, job: Job, units: int | None = None) -> None:
    """Send a ticket for each of the first few units; a broker that is away is no error.

    `units` need not be exact; by default it is one, or several for a job of many tiles.
    """
    from webui.tickets import send_tickets  # loads the broker's client, which most requests never need

    wanted = units or (_MOST_TICKETS if job.kind is JobKind.GENERATION else 1)
    send_tickets(settings, job.queue.value, min(wanted, _MOST_TICKETS), job.id)
