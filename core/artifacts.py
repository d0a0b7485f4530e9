"""Stored files: MIDI, audio, checkpoints, uploads. A local folder by default, any fsspec URL for a team."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlparse

import fsspec

from core.errors import StorageError
from core.settings import Settings

_PART = ".part"
_LOOKS = 10


class ArtifactStore:
    """Files by key, such as `generations/7/takes/3.mid`. A key is visible only with its whole content."""

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = urlparse(url)
        try:
            # What other hosts store and delete must be seen at once, so nothing about it is remembered.
            self._files, self._base = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise StorageError(
                f"CADENZA_ARTIFACTS_URL {url!r} cannot be used: {error}. For S3 install cadenza[s3] (s3fs)."
            ) from error
        self._root = Path(unquote(parsed.path)) if parsed.scheme == "file" else None
        if self._root is not None:
            # fsspec takes the escapes of a file URL (%20) for parts of the name.
            self._base = str(self._root)
            self._root.mkdir(parents=True, exist_ok=True)

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
        """A stream whose content appears under `key` when the block ends well, and not at all otherwise.

        Raises:
            StorageError: the store refuses (disk full, no access).
        """
        path = self._path(key)
        try:
            with self._local_writer(Path(path)) if self._root is not None else self._remote_writer(path) as stream:
                yield stream
        except OSError as error:
            raise StorageError(
                f"{key} cannot be stored: {error}. Free some space or check the access rights."
            ) from error

    def read(self, key: str) -> bytes:
        """The whole content.

        Raises:
            StorageError: there is no such key, or it cannot be read.
        """
        path = self._path(key)
        try:
            return Path(path).read_bytes() if self._root is not None else bytes(self._ask("cat_file", path))
        except OSError as error:
            raise _unreadable(key, error) from error

    def open(self, key: str) -> IO[Any]:
        """A readable, seekable stream.

        Raises:
            StorageError: there is no such key.
        """
        path = self._path(key)
        try:
            return self._ask("open", path, "rb")  # type: ignore[no-any-return]  # fsspec says nothing of types
        except OSError as error:
            raise _unreadable(key, error) from error

    def exists(self, key: str) -> bool:
        """Whether the key is stored.

        Raises:
            StorageError: the store does not answer.
        """
        try:
            return bool(self._ask("exists", self._path(key)))
        except OSError as error:
            raise _unreadable(key, error) from error

    def size(self, key: str) -> int:
        """Bytes stored under the key.

        Raises:
            StorageError: there is no such key.
        """
        try:
            return int(self._ask("size", self._path(key)))
        except OSError as error:
            raise _unreadable(key, error) from error

    def modified(self, key: str) -> datetime | None:
        """When the key was last written, by the store's own clock; None when there is no such key."""
        try:
            moment: datetime = self._ask("modified", self._path(key))
        except FileNotFoundError:
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def delete(self, key: str) -> None:
        """Remove a key, or everything below it when it ends in `/`; nothing there is no error, nor are two at once.

        Raises:
            StorageError: the store refuses (no access).
        """
        path = self._path(key.rstrip("/"))
        try:
            if self._root is None:
                if self._ask("exists", path):
                    self._ask("rm", path, recursive=key.endswith("/"))
            elif key.endswith("/"):
                _remove_folder(Path(path))
            else:
                Path(path).unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"{key} cannot be deleted: {error}. Check the access rights.") from error

    def children(self, key: str) -> list[str]:
        """Keys directly below `key`, complete or not; for sweeping up what nobody needs."""
        path = self._path(key)
        if not self._ask("exists", path):
            return []
        names = (
            str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in self._ask("ls", path, detail=False, refresh=True)
        )
        return sorted(f"{key}/{name}" for name in names if name)

    def files(self, key: str = "") -> list[str]:
        """Every file anywhere below `key` (all of the store without one), complete or not."""
        path = self._path(key) if key else str(self._base)
        if not self._ask("exists", path):
            return []
        start = len(str(self._base).rstrip("/")) + 1
        return sorted(str(entry)[start:] for entry in self._ask("find", path, refresh=True))

    def local_path(self, key: str) -> Path | None:
        """Where the file lies on this machine, for a store that is a local folder."""
        path = Path(self._path(key))
        return None if self._root is None else path

    @contextmanager
    def _local_writer(self, path: Path) -> Iterator[IO[bytes]]:
        aside = Path(f"{path}.{secrets.token_hex(4)}{_PART}")
        try:
            stream: IO[bytes] = aside.open("wb")
        except FileNotFoundError:
            aside.parent.mkdir(parents=True, exist_ok=True)
            stream = aside.open("wb")
        try:
            with stream:
                yield stream
                # On the disk before its row says so: a power cut may take both, but never the file alone.
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    @contextmanager
    def _remote_writer(self, path: str) -> Iterator[IO[bytes]]:
        # Closing a stream to an object makes it appear, half of it too: it is gathered here and sent as a whole.
        with tempfile.NamedTemporaryFile() as gathered:
            yield gathered.file
            gathered.flush()
            self._ask("put_file", gathered.name, path)

    def _ask(self, what: str, *arguments: Any, **options: Any) -> Any:
        """Call fsspec; whatever a kind of store raises is an OSError afterwards."""
        try:
            return getattr(self._files, what)(*arguments, **options)
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    def _path(self, key: str) -> str:
        parts = key.split("/")
        if not key or any(part in {"", ".", ".."} or "\\" in part or "\0" in part for part in parts):
            raise StorageError(f"{key!r} is no key of an artifact.")
        return f"{self._base}/{key}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_folder(folder: Path) -> None:
    # A late writer, or another who deletes, may change it meanwhile: what one look leaves is for the next.
    for _ in range(_LOOKS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    shutil.rmtree(folder)


def _unreadable(key: str, error: OSError) -> StorageError:
    return StorageError(f"The stored file {key} cannot be read: {error}.")
