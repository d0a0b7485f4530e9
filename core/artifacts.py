"""Stored files: MIDI, audio, checkpoints, uploads. A local folder by default, any fsspec URL for a team."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlparse

import fsspec

from core.errors import StorageError
from core.settings import Settings


class ArtifactStore:
    """Files by key, such as `generations/7/takes/3.mid`. A key is visible only with its whole content."""

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = urlparse(url)
        self._root = Path(unquote(parsed.path)) if parsed.scheme == "file" else None
        if self._root is not None:
            self._root.mkdir(parents=True, exist_ok=True)
        self._files, self._base = fsspec.core.url_to_fs(url)

    @classmethod
    def of(cls, settings: Settings) -> ArtifactStore:
        """The installation's store."""
        return cls(settings.resolved_artifacts_url)

    def write(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what was there, all or nothing.

        Raises:
            StorageError: the store refuses (disk full, no access).
        """
        with self.writer(key) as stream:
            stream.write(data)

    @contextmanager
    def writer(self, key: str) -> Iterator[IO[bytes]]:
        """A stream whose content appears under `key` when the block ends well, and not at all otherwise."""
        path = self._path(key)
        aside = f"{path}.{secrets.token_hex(4)}.part" if self._root is not None else path
        try:
            if self._root is not None:
                Path(aside).parent.mkdir(parents=True, exist_ok=True)
            with self._files.open(aside, "wb") as stream:
                yield stream
            if self._root is not None:
                # On an object store an object appears only when it is closed; on a disk the rename does it.
                Path(aside).replace(path)
        except OSError as error:
            raise StorageError(
                f"{key} cannot be stored: {error}. Free some space or check the access rights."
            ) from error
        finally:
            if self._root is not None:
                # What is in the way of tidying up is in the way of storing, too, and that is said already.
                with suppress(OSError):
                    Path(aside).unlink(missing_ok=True)

    def read(self, key: str) -> bytes:
        """The whole content.

        Raises:
            StorageError: there is no such key.
        """
        with self.open(key) as stream:
            content: bytes = stream.read()
        return content

    def open(self, key: str) -> IO[Any]:
        """A readable, seekable stream.

        Raises:
            StorageError: there is no such key.
        """
        try:
            stream: IO[Any] = self._files.open(self._path(key), "rb")
        except OSError as error:
            raise StorageError(f"The stored file {key} cannot be read: {error}.") from error
        return stream

    def exists(self, key: str) -> bool:
        """Whether the key is stored."""
        return bool(self._files.exists(self._path(key)))

    def size(self, key: str) -> int:
        """Bytes stored under the key."""
        return int(self._files.size(self._path(key)))

    def delete(self, key: str) -> None:
        """Remove a key, or everything below it when it ends in `/`; nothing there is no error."""
        path = self._path(key.rstrip("/"))
        if self._files.exists(path):
            self._files.rm(path, recursive=key.endswith("/"))

    def children(self, key: str) -> list[str]:
        """Keys directly below `key`, complete or not; for sweeping up what nobody needs."""
        path = self._path(key)
        if not self._files.exists(path):
            return []
        names = (
            str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in self._files.ls(path, detail=False, refresh=True)
        )
        return sorted(f"{key}/{name}" for name in names if name)

    def local_path(self, key: str) -> Path | None:
        """Where the file lies on this machine, for a store that is a local folder."""
        return None if self._root is None else Path(self._path(key))

    def _path(self, key: str) -> str:
        parts = key.split("/")
        if not key or any(part in {"", ".", ".."} or "\\" in part or "\0" in part for part in parts):
            raise StorageError(f"{key!r} is no key of an artifact.")
        return f"{self._base}/{key}"
