"""The table that MAESTRO brings along: composer, title, year and the official split of each file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from core.datasets.corpus import SPLITS, Split
from core.datasets.names import clean_text

LONGEST_TABLE_BYTES = 16 * 2**20
_NEEDED = {"midi_filename", "split"}
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class PieceMetadata:
    """What a table says about one file; empty or None where it says nothing."""

    title: str = ""
    composer: str = ""
    year: int | None = None
    split: Split | None = None


class MetadataTable:
    """Rows by file name; a file is found by the end of its path, so that any folder around it does no harm."""

    def __init__(self, rows: dict[str, PieceMetadata]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, path: str) -> PieceMetadata:
        """What is said about the file at `path`; the longest end of the path that the table names counts."""
        parts = path.replace("\\", "/").split("/")
        for start in range(len(parts)):
            found = self._rows.get("/".join(parts[start:]))
            if found is not None:
                return found
        return PieceMetadata()

    def joined(self, other: MetadataTable) -> MetadataTable:
        """Both tables; this one counts where both name a file."""
        return MetadataTable({**other._rows, **self._rows})


def read_metadata(data: bytes) -> MetadataTable:
    """Read a CSV in MAESTRO's layout; any other text gives an empty table.

    Args:
        data: at most `LONGEST_TABLE_BYTES` are looked at.
    """
    if len(data) > LONGEST_TABLE_BYTES:
        return MetadataTable({})
    lines = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace"), newline=""))
    try:
        if not _NEEDED.issubset(lines.fieldnames or ()):
            return MetadataTable({})
        return MetadataTable({row["midi_filename"].strip(): _read_row(row) for row in lines if row["midi_filename"]})
    except csv.Error:
        return MetadataTable({})


def _read_row(row: dict[str, str | None]) -> PieceMetadata:
    split = (row.get("split") or "").strip().lower()
    year = (row.get("year") or "").strip()
    return PieceMetadata(
        title=clean_text(row.get("canonical_title") or "", _LONGEST_TEXT),
        composer=clean_text(row.get("canonical_composer") or "", _LONGEST_TEXT),
        year=int(year) if year.isascii() and year.isdigit() and len(year) <= 4 else None,
        split=next((known for known in SPLITS if known == split), None),
    )
