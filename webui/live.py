"""The live feed inside a web process: one thread follows the broker and wakes every open page.

A page that misses a message loses nothing: it looks again at the topic `*`, which comes after every gap in the feed
and now and then by itself.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import redis

from core.changes import ChangeFeed

EVERYTHING = "*"
MOST_LISTENERS = 350
_MOST_PENDING = 100
_HEARTBEAT_SECONDS = 10.0
_NET_SECONDS = 20.0
_RETRY_SECONDS = 2.0
_WELCOME_SECONDS = 15.0


class Listener:
    """One open connection: the topics that changed since it last looked.

    `shows` says which topics it may hear, `is_welcome` (asked now and then) whether it may go on listening.
    """

    def __init__(
        self, shows: Callable[[str], bool] = lambda _topic: True, is_welcome: Callable[[], bool] = lambda: True
    ) -> None:
        self._shows = shows
        self._is_welcome = is_welcome
        self._changed = threading.Condition()
        self._pending: dict[str, None] = {}
        self._closed = False

    def tell(self, topics: list[str]) -> None:
        """Add topics; too many become `*`, so that a slow connection never grows."""
        with self._changed:
            self._pending.update(dict.fromkeys(topics))
            if len(self._pending) > _MOST_PENDING:
                self._pending = {EVERYTHING: None}
            self._changed.notify()

    def close(self) -> None:
        """End the connection soon."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def events(self) -> Iterator[str]:
        """Server-sent events, a comment now and then, until closed or no longer welcome."""
        yield "retry: 1000\n\n"
        asked = written = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closed, _HEARTBEAT_SECONDS)
                topics, self._pending = list(self._pending), {}
                closed = self._closed
            if time.monotonic() - asked > _WELCOME_SECONDS:
                asked = time.monotonic()
                closed = closed or not self._is_welcome()
            if topics := [topic for topic in topics if self._shows(topic)]:
                written = time.monotonic()
                yield f"data: {json.dumps(topics)}\n\n"
            if closed:
                return
            if time.monotonic() - written >= _HEARTBEAT_SECONDS:
                written = time.monotonic()
                yield ": still here\n\n"


class LiveHub:
    """All listeners of a process; the thread starts with the first, so that it is in the process that serves."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def listen(
        self, shows: Callable[[str], bool] = lambda _topic: True, is_welcome: Callable[[], bool] = lambda: True
    ) -> Listener | None:
        """A new listener, or None when there are too many."""
        with self._lock:
            if len(self._listeners) >= MOST_LISTENERS or self._closing.is_set():
                return None
            listener = Listener(shows, is_welcome)
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="live-feed", daemon=True)
                self._thread.start()
        return listener

    def forget(self, listener: Listener) -> None:
        """A connection ended."""
        with self._lock:
            self._listeners.discard(listener)

    def tell(self, topics: list[str]) -> None:
        """Wake every listener."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.tell(topics)

    def close(self) -> None:
        """End all connections and the thread."""
        self._closing.set()
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.close()

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow_connection()
            except (redis.RedisError, OSError, ValueError):
                # Nothing is announced while the broker is away; pages look by themselves meanwhile.
                self.tell([EVERYTHING])
                self._closing.wait(_RETRY_SECONDS)

    def _follow_connection(self) -> None:
        looked = -_NET_SECONDS
        for topics in self._feed.follow(idle_seconds=1.0):
            if self._closing.is_set():
                return
            if time.monotonic() - looked >= _NET_SECONDS:
                # First of all after connecting: whatever was said before that was not heard.
                looked = time.monotonic()
                self.tell([EVERYTHING])
            if topics:
                self.tell(topics)
