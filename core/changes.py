"""The live feed: short topics ("job:12", "generation:5") that say what changed, from any process to all web processes.

Nothing depends on a message arriving: the database is the truth, and pages look again by themselves now and then.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator

import redis

from core.settings import Settings

_logger = logging.getLogger(__name__)
_CHANNEL = "cadenza:changes"
_CONNECT_SECONDS = 2.0
_CHECK_SECONDS = 30


def redis_client(broker_url: str) -> redis.Redis:
    """A client for a broker's URL; Celery's `redis+socket://` form is understood."""
    url = broker_url.replace("redis+socket://", "unix://", 1)
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_CONNECT_SECONDS,
        # A follower only listens: without this it would not notice that the other side vanished without a word.
        health_check_interval=_CHECK_SECONDS,
    )


class ChangeFeed:
    """Publishes and follows topics over Redis/Valkey; a broker that is away is no error, only silence."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url
        self._client: redis.Redis | None = None

    @classmethod
    def of(cls, settings: Settings) -> ChangeFeed:
        """The installation's feed."""
        return cls(settings.resolved_broker_url)

    def publish(self, topics: Iterable[str]) -> None:
        """Tell all followers that `topics` changed."""
        try:
            # The client finds its way back by itself once the broker is there again.
            if self._client is None:
                self._client = redis_client(self._broker_url)
            self._client.publish(_CHANNEL, json.dumps(list(topics)))
        except (redis.RedisError, OSError, ValueError) as error:
            # Pages refresh on their own; losing a hint must never lose a write that is already committed.
            _logger.debug("a change was not announced: %s", error)

    def follow(self, idle_seconds: float = 1.0) -> Iterator[list[str] | None]:
        """Topics as they come, or None after each `idle_seconds` of silence.

        Raises:
            redis.RedisError: the broker went away; follow again later.
        """
        client = redis_client(self._broker_url)
        try:
            with client.pubsub(ignore_subscribe_messages=True) as feed:  # type: ignore[no-untyped-call]  # theirs
                feed.subscribe(_CHANNEL)
                while True:
                    message = feed.get_message(timeout=idle_seconds)
                    yield None if message is None else json.loads(message["data"])
        finally:
            client.close()


class SilentFeed(ChangeFeed):
    """A feed that nobody follows, for commands that run alone."""

    def __init__(self) -> None:
        super().__init__("")

    def publish(self, topics: Iterable[str]) -> None:
        """Say nothing."""
