"""Downloads that survive dropped connections and are believed only when size and digest fit."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from core.datasets.http import open_address
from core.datasets.waiting import alone, wait
from core.errors import DownloadError

_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """Patience and bounds of a download.

    A stall must be shorter than the grace that a cancelled job is given, since it is the longest time in which nothing
    is looked at.
    """

    fruitless_attempts: int = 8
    """Attempts in a row that bring no new byte."""
    stall_seconds: float = 6.0
    backoff_seconds: float = 0.5
    longest_backoff_seconds: float = 15.0
    most_bytes: int = 16 * 2**30
    internal: bool = True
    """Whether the address may lie in the server's own network."""


@dataclass(frozen=True, slots=True)
class Download:
    """What is wanted: size 0 and an empty digest mean not known."""

    address: str
    size_bytes: int = 0
    sha256: str = ""


def download(
    wanted: Download,
    target: Path,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    check: Callable[[], None] = lambda: None,
    rules: DownloadRules | None = None,
) -> Path:
    """Bring a file to `target`, going on where an earlier attempt (of this or of a dead process) stopped.

    What has arrived lies beside the target in `.part` until it is whole, and then takes its place. Only one process
    at a time works on a target; others wait for it and use what it brought.

    Args:
        wanted: where it lies, with size and SHA-256 where they are known.
        target: where it goes; what lies there already is used if size and digest fit.
        progress: called with bytes done and bytes in all (0 where the server does not say).
        check: called between blocks; what it raises ends the download, what has arrived stays.
        rules: patience and bounds.

    Raises:
        DownloadError: refused, unreachable, of another size or digest; the message says which.
    """
    work = _Work(wanted, target, progress, check, rules or DownloadRules())
    target.parent.mkdir(parents=True, exist_ok=True)
    with alone(target.with_name(target.name + ".lock"), check):
        if target.exists() and work.is_right(target):
            return target
        work.fetch()
    return target


class _Work:
    def __init__(
        self,
        wanted: Download,
        target: Path,
        progress: Callable[[int, int], None],
        check: Callable[[], None],
        rules: DownloadRules,
    ) -> None:
        self.wanted, self.target, self.progress, self.check, self.rules = wanted, target, progress, check, rules
        self.part = target.with_name(target.name + ".part")
        self.notes = target.with_name(target.name + ".part.json")
        self.total = wanted.size_bytes

    def fetch(self) -> None:
        """Attempt after attempt until all bytes are there, then check them."""
        fruitless = restarts = furthest = 0
        while True:
            before = self._arrived()
            problem = ""
            try:
                finished = self._attempt(before)
            except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, _TryAgainError) as error:
                finished, problem = False, str(error) or type(error).__name__
            if finished:
                if self.is_right(self.part, say=restarts > 0 or before == 0):
                    self.part.replace(self.target)
                    self.notes.unlink(missing_ok=True)
                    return
                # Resumed from bytes of another time or another file: once more from the start.
                restarts += 1
                self._forget()
                continue
            # Only what never arrived before counts: a server that makes us start over must not keep us here for ever.
            arrived = self._arrived()
            fruitless = 0 if arrived > max(furthest, before) else fruitless + 1
            furthest = max(furthest, before, arrived)
            if fruitless >= self.rules.fruitless_attempts:
                raise DownloadError(
                    f"{self.wanted.address} cannot be downloaded: {problem}. Tried {fruitless} times without progress; "
                    "what has arrived is kept, so try again later."
                )
            self._pause(fruitless)

    def is_right(self, path: Path, say: bool = False) -> bool:
        """Whether size and digest fit what is wanted.

        Raises:
            DownloadError: they do not, and `say` is set.
        """
        wanted, problem = self.wanted, ""
        size = path.stat().st_size
        if wanted.size_bytes and size != wanted.size_bytes:
            problem = f"it has {size:,} bytes, expected are {wanted.size_bytes:,}"
        elif wanted.sha256:
            digest = _digest(path, self.check)
            if digest != wanted.sha256:
                problem = f"its SHA-256 is {digest}, expected is {wanted.sha256}"
        if problem and say:
            self._forget()
            raise DownloadError(f"{wanted.address} is not the expected file: {problem}. Check the address.")
        return not problem

    def _attempt(self, before: int) -> bool:
        """One request; True when all bytes are there."""
        validator = self._validator()
        headers = {"Accept-Encoding": "identity", "User-Agent": "cadenza"}
        # Without a digest and without the server's own mark, old bytes could be of another file.
        if before and (validator or self.wanted.sha256):
            headers["Range"] = f"bytes={before}-"
            if validator:
                headers["If-Range"] = validator
        elif before:
            self._forget()
            before = 0
        address, stall = self.wanted.address, self.rules.stall_seconds
        with open_address(address, headers, stall, self.check, internal=self.rules.internal) as response:
            start = self._start_of(response, before)
            if start is None:
                return True
            self._note_validator(response)
            return self._receive(response, start)

    def _start_of(self, response: httpx.Response, before: int) -> int | None:
        """The byte at which the answer starts; None when everything was there before."""
        status = response.status_code
        if status == 416 and before:
            if self.total and before == self.total:
                return None
            self._forget()
            raise _TryAgainError("the server has fewer bytes than expected")
        if status == 206:
            found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
            if found is None or int(found[1]) != before:
                self._forget()
                raise _TryAgainError("the server sent another part than was asked for")
            self._expect(int(found[3]) if found[3] != "*" else 0)
            return before
        if status == 200:
            length = response.headers.get("Content-Length", "")
            self._expect(int(length) if length.isdigit() else 0)
            return 0
        raise _TryAgainError(f"the server answered {status} {response.reason_phrase}")

    def _expect(self, said: int) -> None:
        """Take the server's word for the size, unless a size is known and differs."""
        if said and self.wanted.size_bytes and said != self.wanted.size_bytes:
            raise DownloadError(
                f"{self.wanted.address} is not the expected file: it has {said:,} bytes, "
                f"expected are {self.wanted.size_bytes:,}. Check the address."
            )
        self.total = self.wanted.size_bytes or said
        if self.total > self.rules.most_bytes:
            raise DownloadError(
                f"{self.wanted.address} has {self.total:,} bytes; at most {self.rules.most_bytes:,} are downloaded."
            )

    def _receive(self, response: httpx.Response, start: int) -> bool:
        done = start
        limit = self.total or self.rules.most_bytes
        with self.part.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            stream.truncate()
            for block in response.iter_raw():
                self.check()
                done += len(block)
                if done > limit:
                    raise DownloadError(f"{self.wanted.address} sends more than the {limit:,} bytes expected.")
                stream.write(block)
                self.progress(done, self.total)
        if self.total and done < self.total:
            raise _TryAgainError(f"the connection ended after {done:,} of {self.total:,} bytes")
        return True

    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _validator(self) -> str:
        try:
            notes = json.loads(self.notes.read_text())
        except (OSError, ValueError):
            return ""
        return str(notes.get("validator", "")) if notes.get("address") == self.wanted.address else ""

    def _note_validator(self, response: httpx.Response) -> None:
        etag = response.headers.get("ETag", "")
        # A weak mark says "about the same", which is not enough to glue bytes together.
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        self.notes.write_text(json.dumps({"address": self.wanted.address, "validator": validator}))

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)

    def _pause(self, fruitless: int) -> None:
        seconds = min(self.rules.backoff_seconds * 2**fruitless, self.rules.longest_backoff_seconds)
        wait(seconds, self.check)


class _TryAgainError(Exception):
    """This attempt is over; the next may bring more."""


def _digest(path: Path, check: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES * 4):
            check()
            digest.update(block)
    return digest.hexdigest()
