"""The stored corpus as a file: written column by column, read piece by piece, never whole in memory."""

from __future__ import annotations

import ast
import struct
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import StorageError
from core.music.notes import Notes

COLUMNS: dict[str, np.dtype[Any]] = {
    "onset_seconds": np.dtype("<f8"),
    "duration_seconds": np.dtype("<f8"),
    "pitch": np.dtype("u1"),
    "velocity": np.dtype("u1"),
}
"""The note columns of a corpus and their types, in the order in which they are stored."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_COPY_BYTES = 1 << 20
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def write_corpus(
    target: IO[bytes], columns: Mapping[str, IO[bytes]], offsets: NDArray[np.int64], splits: NDArray[np.uint8]
) -> None:
    """Write what `Corpus.from_bytes` and `read_piece` read, from columns that lie in files.

    Args:
        target: where the npz goes.
        columns: for each name of `COLUMNS` a stream at its start, with `offsets[-1]` values.
        offsets: int64 `[pieces + 1]`, piece i owns rows `offsets[i]` to `offsets[i + 1]`.
        splits: uint8 `[pieces]`, index into `core.datasets.corpus.SPLITS`.
    """
    rows = int(offsets[-1])
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, dtype in COLUMNS.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _NO_DATE), "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, _header(dtype, rows))
                left = rows * dtype.itemsize
                while left:
                    block = columns[name].read(min(left, _COPY_BYTES))
                    if not block:
                        raise StorageError(f"The column {name} ended {left} bytes early; import once more.")
                    member.write(block)
                    left -= len(block)
        for name, array in (("offsets", offsets), ("splits", splits)):
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _NO_DATE), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def read_piece(stream: IO[bytes], index: int) -> Notes:
    """The notes of piece `index` of a stored corpus, reading no other piece.

    Args:
        stream: the stored corpus, seekable.
        index: of the piece, from 0.

    Raises:
        StorageError: the file is damaged, or has no such piece.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            offsets = _read_rows(stream, archive, "offsets", index, 2)
            if len(offsets) != 2 or index < 0:
                raise StorageError(f"The stored notes have no piece {index}; import the dataset again.")
            first, count = int(offsets[0]), int(offsets[1] - offsets[0])
            onset, duration, pitch, velocity = (_read_rows(stream, archive, name, first, count) for name in COLUMNS)
    except (OSError, ValueError, KeyError, EOFError, SyntaxError, struct.error, zipfile.BadZipFile) as error:
        raise StorageError(f"The stored notes of this dataset are damaged ({error}); import it again.") from error
    if not len(onset) == len(duration) == len(pitch) == len(velocity) == count:
        raise StorageError("The stored notes of this dataset are cut short; import it again.")
    return Notes(onset, duration, pitch, velocity)


def _header(dtype: np.dtype[Any], rows: int) -> dict[str, Any]:
    return {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows,)}


def _read_rows(stream: IO[bytes], archive: zipfile.ZipFile, name: str, first: int, count: int) -> NDArray[Any]:
    """`count` rows from row `first` of one stored array; fewer where the array ends."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    stream.seek(member.header_offset)
    fields = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    stream.seek(fields[-2] + fields[-1], 1)
    start = stream.tell()
    magic = stream.read(10)
    if magic[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError(f"{name} is no array of version 1")
    length = int.from_bytes(magic[8:10], "little")
    header = ast.literal_eval(stream.read(length).decode("latin-1"))
    dtype, rows = np.dtype(str(header["descr"])), int(header["shape"][0])
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects")
    count = max(0, min(count, rows - first))
    stream.seek(start + 10 + length + first * dtype.itemsize)
    data = stream.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype)
