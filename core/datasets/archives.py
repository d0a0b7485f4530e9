"""Zips from strangers: looked at before they are read, and read in bounds."""

from __future__ import annotations

import posixpath
import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO

from core.datasets.names import clean_file_name
from core.errors import ArchiveError, MidiError

_END_RECORD = struct.Struct("<4s4H2LH")
_END_RECORD_64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 0xFFFF
_BLOCK_BYTES = 1 << 16
# zipfile unpacks these in blocks of bounded size. Others expand a small block to gigabytes before anyone can look.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# What zipfile raises when sizes, places or contents are not what they claim.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, OverflowError, struct.error)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What a zip may hold. Expansion is judged by the bytes that really come out, never by what a header says."""

    entries: int = 100_000
    directory_bytes: int = 32 * 2**20
    entry_bytes: int = 64 * 2**20
    expansion: int = 200
    free_bytes: int = 2**20
    """So many bytes may come out before the expansion is looked at: a tiny file may well shrink to nothing."""


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One file of a zip; `name` is fit to be shown and differs from all others of the zip."""

    name: str
    info: zipfile.ZipInfo

    @property
    def is_zip(self) -> bool:
        """Whether the name says that it is a zip itself."""
        return self.name.lower().endswith(".zip")


class Archive:
    """A zip whose entries were all found harmless by name and kind; contents are read one at a time.

    Raises:
        ArchiveError: it is no zip, is damaged or encrypted, holds too many entries, a link, or a name that leads out
            of the folder it would be unpacked into; the message names the entry.
    """

    def __init__(self, stream: IO[bytes], shown: str, limits: ArchiveLimits | None = None) -> None:
        self._shown = shown
        self._limits = limits or ArchiveLimits()
        self._read_bytes = 0
        self._size = stream.seek(0, 2)
        self._check_directory(stream)
        try:
            self._zip = zipfile.ZipFile(stream)
        except (*_DAMAGE, NotImplementedError) as error:
            raise ArchiveError(f"{shown} is damaged, or no zip ({error}); pack or upload it again.") from error
        infos = self._zip.infolist()
        if len(infos) > self._limits.entries:
            raise ArchiveError(f"{shown} holds {len(infos):,} entries; at most {self._limits.entries:,} are read.")
        for info in infos:
            self._check_entry(info)
        self.entries = _named([info for info in infos if not info.is_dir()])

    def peek(self, entry: ArchiveEntry, count: int = 4) -> bytes:
        """The first bytes of an entry; none of an unreadable one."""
        if entry.info.compress_type not in _METHODS:
            return b""
        try:
            with self._zip.open(entry.info) as member:
                return member.read(count)
        except (*_DAMAGE, RuntimeError):
            return b""

    def read(self, entry: ArchiveEntry) -> bytes:
        """The content of an entry.

        Raises:
            MidiError: this entry alone is damaged, too long or packed by an unknown method; the others can be read.
            ArchiveError: it expands beyond all measure, and the zip is not to be read any further.
        """
        blocks: list[bytes] = []
        length = 0
        packed = min(entry.info.compress_size, self._size)
        if entry.info.compress_type not in _METHODS:
            method = entry.info.compress_type
            name = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}.get(method, f"method {method}")
            raise MidiError(f"It is packed in a way that cannot be read ({name}); pack it with 'deflate'.")
        try:
            with self._zip.open(entry.info) as member:
                while block := member.read(_BLOCK_BYTES):
                    blocks.append(block)
                    length += len(block)
                    self._read_bytes += len(block)
                    self._check_expansion(entry, length, packed)
                    self._check_expansion(entry, self._read_bytes, self._size)
                    if length > self._limits.entry_bytes:
                        raise MidiError(f"It is longer than {self._limits.entry_bytes / 2**20:g} MiB.")
        except _DAMAGE as error:
            raise MidiError(f"It is damaged inside its zip ({error}).") from error
        except RuntimeError as error:
            raise MidiError(f"It is packed in a way that cannot be read ({error}).") from error
        return b"".join(blocks)

    def _check_expansion(self, entry: ArchiveEntry, length: int, packed: int) -> None:
        limits = self._limits
        if length > limits.free_bytes + limits.expansion * packed:
            raise ArchiveError(
                f"{self._shown} is refused: at the entry {entry.name!r} it expands to more than "
                f"{limits.expansion} times its size."
            )

    def _check_directory(self, stream: IO[bytes]) -> None:
        """Refuse a huge table of contents before zipfile builds an object for each of its entries."""
        start = max(0, self._size - _LONGEST_COMMENT - _END_RECORD.size)
        stream.seek(start)
        tail = stream.read(self._size - start)
        sizes = []
        place = tail.rfind(b"PK\x05\x06")
        if place >= 0 and len(tail) - place >= _END_RECORD.size:
            declared = _END_RECORD.unpack_from(tail, place)[5]
            sizes.append(0 if declared == 0xFFFFFFFF else declared)
        place = tail.rfind(b"PK\x06\x06")
        if place >= 0 and len(tail) - place >= _END_RECORD_64.size:
            sizes.append(_END_RECORD_64.unpack_from(tail, place)[8])
        largest = max(sizes, default=0)
        if largest > self._limits.directory_bytes:
            raise ArchiveError(
                f"{self._shown} is refused: its table of contents takes {largest:,} bytes; "
                f"at most {self._limits.directory_bytes:,} are read."
            )

    def _check_entry(self, info: zipfile.ZipInfo) -> None:
        shown = clean_file_name(info.orig_filename)
        problem = ""
        parts = info.orig_filename.replace("\\", "/").split("/")
        mode = info.external_attr >> 16
        if ".." in parts:
            problem = "leads out of its folder"
        elif parts[0] == "" or re.match("[A-Za-z]:", parts[0]):
            problem = "is an absolute path"
        elif "\0" in info.orig_filename:
            problem = "has a zero character in its name"
        elif stat.S_ISLNK(mode):
            problem = "is a link"
        elif mode and stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
            problem = "is no ordinary file"
        elif info.flag_bits & 0x1:
            problem = "is encrypted; unpack it and zip it without a password"
        if problem:
            raise ArchiveError(f"{self._shown} is refused: the entry {shown!r} {problem}.")


def _named(infos: list[zipfile.ZipInfo]) -> tuple[ArchiveEntry, ...]:
    """Entries by name, the second of the same name with a number."""
    entries = []
    taken: dict[str, int] = {}
    for info in sorted(infos, key=lambda info: (info.filename, info.header_offset)):
        name = clean_file_name(info.filename)
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            stem, ending = posixpath.splitext(name)
            name = f"{stem} ({taken[name]}){ending}"
        entries.append(ArchiveEntry(name, info))
    return tuple(entries)
