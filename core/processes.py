"""Processes that belong together: children that end with their parent, and locks that name their holder.

A lock of the POSIX kind is released by the kernel however its holder ends, survives `exec`, and tells who holds it. So
nothing here can be stale, and no number of a process is ever taken from a file.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PARENT_POLL_SECONDS = 0.5

# Layout of `struct flock` and the places of its type and its process.
_FLOCK = ("qqihh", 3, 2) if sys.platform == "darwin" else ("hhqqi4x", 0, 4)


def end_with_parent() -> None:
    """Ask for SIGTERM when the parent ends, however it ends; call it first thing, from the main thread."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        threading.Thread(target=_watch_parent, args=(parent,), name="parent watch", daemon=True).start()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def take_lock(path: Path) -> int | None:
    """Hold the lock file `path` until this process ends; its descriptor, or None when another process holds it.

    Nothing in this process may open the same file again: closing it would give up the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    os.set_inheritable(descriptor, True)  # a program that replaces this one goes on holding it
    return descriptor


def lock_holder(path: Path) -> int | None:
    """The process that holds the lock file `path`, or None. Not for a lock that this process holds."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    layout, type_at, pid_at = _FLOCK
    fields = [0] * 5
    fields[type_at] = fcntl.F_WRLCK
    try:
        answer = struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(layout, *fields)))
    finally:
        os.close(descriptor)
    return None if answer[type_at] == fcntl.F_UNLCK else int(answer[pid_at])


def end_lock_holders(folder: Path, grace_seconds: float) -> list[str]:
    """End every process that holds a lock file in `folder`: SIGTERM, and SIGKILL after the grace.

    Returns:
        The names of the lock files whose holders were ended.
    """
    deadline = time.monotonic() + grace_seconds
    ended: dict[str, None] = {}
    asked: set[int] = set()
    while holders := {path.name: pid for path in sorted(folder.glob("*.lock")) if (pid := lock_holder(path))}:
        ended.update(dict.fromkeys(holders))
        late = time.monotonic() > deadline
        for pid in holders.values():
            if late or pid not in asked:
                _send(pid, signal.SIGKILL if late else signal.SIGTERM)
                asked.add(pid)
        time.sleep(0.05)
    return list(ended)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
