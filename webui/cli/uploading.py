"""Sending files from this machine, with a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import IO, Any, cast

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from webui.cli.client import ApiClient
from webui.cli.refusal import Refusal

_ENDINGS = frozenset({".mid", ".midi", ".kar", ".zip", ".csv"})
_MOST_FILES = 100
_MOST_BYTES = 32 * 2**20


def find_files(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """The files named, and the MIDI files, zips and tables in the folders named, each with its name for the server.

    Raises:
        click.UsageError: a path does not exist, or a folder holds nothing of use.
    """
    found: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())
            if not inside:
                raise click.UsageError(f"{str(path)!r} holds no MIDI file (.mid, .midi, .kar) and no zip.")
            found += [(file.relative_to(path).as_posix(), file) for file in inside]
        elif path.is_file():
            found.append((path.name, path))
        else:
            raise click.UsageError(f"{str(path)!r} is neither 'starter' nor 'maestro', nor a file or folder here.")
    return found


def upload(client: ApiClient, files: Sequence[tuple[str, Path]]) -> list[int]:
    """Send files, several at a time; the numbers of the uploads, in their order.

    Raises:
        Refusal: one is longer than the server accepts, cannot be read, or was refused.
    """
    limit = int(client.get("/overview")["upload_limit_bytes"])
    for name, path in files:
        if path.stat().st_size > limit:
            raise Refusal(
                f"files: {name!r} is longer than {limit:,} bytes ({limit / 2**20:.4g} MiB), "
                "the most that is accepted; send it in parts."
            )
    columns = (TextColumn("upload"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    numbers: list[int] = []
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("upload", total=sum(path.stat().st_size for _, path in files))
        for batch in _batches(files):
            with ExitStack() as opened:
                streams: list[tuple[str, IO[bytes]]] = []
                for name, path in batch:
                    stream = opened.enter_context(_open(path, lambda count: progress.advance(bar, count)))
                    streams.append((name, stream))
                answer = client.post_files("/uploads", "files", streams)
            numbers += [item["id"] for item in answer["items"]]
    return numbers


class _CountedFile(FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, count: Any) -> None:
        super().__init__(path)
        self._count = count

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(-1 if size is None else size) or b""
        self._count(len(block))
        return block


def _open(path: Path, count: Any) -> IO[bytes]:
    try:
        return cast("IO[bytes]", _CountedFile(path, count))
    except OSError as error:
        raise Refusal(f"{str(path)!r} cannot be read: {error.strerror}.") from error


def _batches(files: Sequence[tuple[str, Path]]) -> Iterator[list[tuple[str, Path]]]:
    batch: list[tuple[str, Path]] = []
    size = 0
    for name, path in files:
        length = path.stat().st_size
        if batch and (len(batch) == _MOST_FILES or size + length > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((name, path))
        size += length
    if batch:
        yield batch
