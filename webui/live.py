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
# 350 pages hear of a change within 0.15 s of the first.
_WOKEN_AT_ONCE = 25
_BETWEEN_SECONDS = 0.01


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
    """All listeners of a process; the threads start with the first, so that they are in the process that serves."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._told: dict[str, None] = {}
        self._anything_told = threading.Event()
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
            if not self._threads:
                self._threads = [
                    threading.Thread(target=self._follow, name="live-feed", daemon=True),
                    threading.Thread(target=self._pass_on, name="live-wake", daemon=True),
                ]
                for thread in self._threads:
                    thread.start()
        return listener

    def forget(self, listener: Listener) -> None:
        """A connection ended."""
        with self._lock:
            self._listeners.discard(listener)

    def tell(self, topics: list[str]) -> None:
        """Wake every listener soon."""
        with self._lock:
            self._told.update(dict.fromkeys(topics))
        self._anything_told.set()

    def close(self) -> None:
        """End all connections and the threads."""
        self._closing.set()
        with self._lock:
            listeners = list(self._listeners)
        self._anything_told.set()
        for listener in listeners:
            listener.close()

    def _pass_on(self) -> None:
        # Some at a time: hundreds of threads that wake at once would hold up every page that is asked for meanwhile.
        # What is told during a round waits for the next, so that many changes cost no more than a few.
        while self._anything_told.wait() and not self._closing.is_set():
            self._anything_told.clear()
            with self._lock:
                topics, self._told = list(self._told), {}
                listeners = list(self._listeners)
            for first in range(0, len(listeners), _WOKEN_AT_ONCE):
                for listener in listeners[first : first + _WOKEN_AT_ONCE]:
                    listener.tell(topics)
                self._closing.wait(_BETWEEN_SECONDS)

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
