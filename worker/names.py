"""Names that the sides of a ticket agree on. Constants only, so that the web process may import them."""

from __future__ import annotations

from core.models.jobs import Queue

# A ticket says that a unit waits in a queue; it takes the names `queue` and `job_id` (0 when no job caused it).
TICKET_TASK = "cadenza.ticket"

# Broker queues, apart from whatever else uses the same broker.
TICKET_QUEUES = {queue: f"cadenza.{queue.value}" for queue in Queue}

# More tickets than this for one submission help nobody: a worker goes on by itself until nothing waits.
MOST_TICKETS = 8

# A broker that does not answer within this time counts as away; the maintenance process sends the tickets later.
SEND_SECONDS = 0.7
