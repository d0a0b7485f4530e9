"""Where the files of an import come from: zips, single files, takes. All give the same: names, bytes, what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from core.datasets.archives import Archive, ArchiveEntry
from core.datasets.metadata import LONGEST_TABLE_BYTES, MetadataTable, PieceMetadata, read_metadata
from core.datasets.names import clean_file_name, title_of
from core.datasets.reading_pool import LONGEST_FILE_BYTES
from core.errors import ArchiveError, MidiError

_MIDI_ENDINGS = (".mid", ".midi", ".kar")
_MIDI_MAGIC = b"MThd"
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to import: its bytes, or the reason why there are none."""

    name: str
    data: bytes
    reason: str = ""
    known: PieceMetadata = field(default_factory=PieceMetadata)

    @property
    def title(self) -> str:
        """The title that a table gives, or one after the file's name."""
        return self.known.title or title_of(self.name)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that lies somewhere: a name for people and a way to open it."""

    name: str
    open: Callable[[], IO[Any]]


@dataclass(slots=True)
class Source:
    """All files of an import in their order; bytes are read when a file's turn comes.

    Attributes:
        readers: one for each file; those beyond `total` are left alone.
        total: files that `files()` gives.
        skipped: files that are no MIDI files by name and content (tables, licences), which are passed over quietly.
    """

    readers: list[Callable[[], SourceFile]]
    total: int
    skipped: int

    def files(self) -> Iterator[SourceFile]:
        """Read one file after the other.

        Raises:
            ArchiveError: a zip turns out to expand beyond all measure.
        """
        for read in self.readers[: self.total]:
            yield read()


class SourceBuilder:
    """Collects stored files, looks into zips, and finds the tables among them. Use it in a `with` block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._table = MetadataTable({})
        self._readers: list[Callable[[], SourceFile]] = []
        self._skipped = 0

    def __enter__(self) -> SourceBuilder:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def add(self, file: StoredFile) -> None:
        """Add a MIDI file, a zip, or a table in MAESTRO's layout; anything else becomes a file with a reason.

        Raises:
            ArchiveError: a table in a zip expands beyond all measure.
        """
        stream = file.open()
        start = stream.read(4)
        stream.seek(0)
        if start in _ZIP_MAGICS or file.name.lower().endswith(".zip"):
            self._stack.push(stream)
            self._add_archive(stream, file.name)
            return
        with stream:
            if start != _MIDI_MAGIC and file.name.lower().endswith(".csv"):
                table = read_metadata(stream.read(LONGEST_TABLE_BYTES + 1))
                if len(table):
                    self._table = self._table.joined(table)
                    return
        self._readers.append(partial(self._read_single, file))

    def finish(self, limit: int = 0) -> Source:
        """The source; `limit` keeps the first so many files only, 0 keeps all."""
        total = min(limit, len(self._readers)) if limit else len(self._readers)
        return Source(self._readers, total, self._skipped)

    def _refuse(self, name: str, reason: str) -> None:
        self._readers.append(partial(SourceFile, name, b"", reason))

    def _read_single(self, file: StoredFile) -> SourceFile:
        with file.open() as stream:
            # One byte more than is ever read, so that the reason can be said.
            data: bytes = stream.read(LONGEST_FILE_BYTES + 1)
        return SourceFile(clean_file_name(file.name), data, known=self._table.find(file.name))

    def _add_archive(self, stream: IO[bytes], name: str) -> None:
        shown = clean_file_name(name)
        try:
            archive = Archive(stream, shown)
        except ArchiveError as error:
            self._refuse(shown, str(error))
            return
        for entry in archive.entries:
            if _is_junk(entry):
                self._skipped += 1
            elif entry.is_zip:
                self._refuse(entry.name, "It is a zip inside a zip; unpack it and import it by itself.")
            elif entry.name.lower().endswith(_MIDI_ENDINGS) or archive.peek(entry) == _MIDI_MAGIC:
                self._readers.append(partial(self._read_entry, archive, entry))
            else:
                self._skipped += 1
                if entry.name.lower().endswith(".csv") and entry.info.file_size <= LONGEST_TABLE_BYTES:
                    self._add_table(archive, entry)

    def _add_table(self, archive: Archive, entry: ArchiveEntry) -> None:
        try:
            self._table = self._table.joined(read_metadata(archive.read(entry)))
        except MidiError as error:
            self._refuse(entry.name, f"This table is not used. {error}")

    def _read_entry(self, archive: Archive, entry: ArchiveEntry) -> SourceFile:
        known = self._table.find(entry.info.filename)
        try:
            return SourceFile(entry.name, archive.read(entry), known=known)
        except MidiError as error:
            return SourceFile(entry.name, b"", str(error), known)


def _is_junk(entry: ArchiveEntry) -> bool:
    """What macOS adds to a zip beside the files themselves."""
    parts = entry.name.split("/")
    return parts[0] == "__MACOSX" or parts[-1].startswith("._") or parts[-1] == ".DS_Store"
