"""Names that the sides of a ticket agree on. Constants only, so that the web process may import them."""

from __future__ import annotations

from core.models.jobs import Queue

# A ticket says that a unit waits in a queue; it takes the names `queue` and `job_id` (0 when no job caused it).
TICKET_TASK = "cadenza.ticket"

# Broker queues, apart from whatever else uses the same broker.
TICKET_QUEUES = {queue: f"cadenza.{queue.value}" for queue in Queue}

# More tickets than this for one submission help nobody: a worker goes on by itself until nothing waits.
MOST_TICKETS = 8

# For Redis and Valkey: notice a broker that died or froze within seconds, and never wait longer than that for one.
TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 5,
    "visibility_timeout": 3600,
}

# For sending: a broker that does not answer counts as away, and the maintenance process sends the tickets later.
SENDING_OPTIONS = {
    "socket_connect_timeout": 0.4,
    "socket_timeout": 0.4,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
