"""Hints between processes: heard by all, and never in the way of those who give them."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import redis

from core.changes import ChangeFeed, SilentFeed, redis_client
from core.models.uploads import Upload
from core.records.database import Database, announce


def first_of(feed: ChangeFeed, tell: Callable[[], None]) -> list[str]:
    """What a follower hears first."""
    follower = feed.follow(idle_seconds=0.05)
    next(follower)
    tell()
    deadline = time.monotonic() + 60
    for topics in follower:
        if topics is not None:
            follower.close()  # type: ignore[attr-defined]  # it is a generator
            return topics
        assert time.monotonic() < deadline, "nothing was heard"
    raise AssertionError("unreachable")


def test_topics_are_heard(valkey_url: str) -> None:
    feed = ChangeFeed(valkey_url)
    assert first_of(feed, lambda: feed.publish(["job:1", "jobs", "é"])) == ["job:1", "jobs", "é"]
    feed.publish([])


def test_only_what_was_committed_is_announced(valkey_url: str, sqlite_url: str) -> None:
    database = Database(sqlite_url, ChangeFeed(valkey_url))

    def work() -> None:
        with pytest.raises(RuntimeError), database.transaction() as session:  # noqa: PT012  # the block is the case
            announce(session, "never")
            raise RuntimeError
        with database.transaction() as session:
            announce(session, "a", "b")
            announce(session, "a")

    assert first_of(ChangeFeed(valkey_url), work) == ["a", "b"]


@pytest.mark.parametrize("address", ["redis+socket:///nowhere/valkey.sock", "redis://127.0.0.1:1/0", "no address", ""])
def test_a_broker_that_is_away_loses_no_write(sqlite_url: str, address: str) -> None:
    database = Database(sqlite_url, ChangeFeed(address))
    started = time.monotonic()
    for _ in range(3):
        with database.transaction() as session:
            session.add(Upload(owner="a", file_name="f", key="k", size_bytes=1, sha256="0"))
            announce(session, "uploads")
    assert time.monotonic() - started < 3
    with database.reading() as session:
        assert session.query(Upload).count() == 3


def test_the_feed_comes_back_with_the_broker(start_valkey: Callable[[Path], Any], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("v")
    feed = ChangeFeed(f"redis+socket://{folder / 'valkey.sock'}")
    feed.publish(["nobody is there"])
    server = start_valkey(folder)
    assert first_of(feed, lambda: feed.publish(["here"])) == ["here"]
    follower = feed.follow(idle_seconds=0.05)
    next(follower)
    server.kill()
    server.wait()
    with pytest.raises(redis.RedisError):
        list(islice(follower, 100))
    feed.publish(["away"])
    (folder / "valkey.sock").unlink(missing_ok=True)
    start_valkey(folder)
    assert first_of(feed, lambda: feed.publish(["back"])) == ["back"]


def test_a_silent_feed_needs_no_broker() -> None:
    SilentFeed().publish(["anything"])


def test_both_forms_of_an_address_are_understood(valkey_url: str) -> None:
    client = redis_client(valkey_url)
    assert client.ping()
    client.close()
