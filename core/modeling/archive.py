"""Named arrays and a JSON document in one zip: the stored form of checkpoints and resume points."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DOCUMENT = "model.json"
_DATE = (1980, 1, 1, 0, 0, 0)
_MOST_ARRAYS = 4096
_LARGEST_DOCUMENT_BYTES = 4 * 2**20


def pack(document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write `document` (JSON) and `arrays` into a zip; equal content gives equal bytes (fixed dates, sorted names).

    Nothing is compressed, since weights hardly shrink.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=True)
        archive.writestr(zipfile.ZipInfo(_DOCUMENT, _DATE), text.encode())
        for name in sorted(arrays):
            part = io.BytesIO()
            np.lib.format.write_array(part, np.ascontiguousarray(arrays[name]), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), part.getbuffer())
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read back what `pack` wrote. Memory stays within about twice the size of `data`; nothing is unpickled.

    Raises:
        ValueError: `data` is not such a zip, or is damaged; the message says how.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_ARRAYS:
                raise ValueError(f"it holds {len(parts)} parts, more than {_MOST_ARRAYS}")
            # `pack` never compresses: a part that says otherwise could expand without bound.
            if any(part.compress_type != zipfile.ZIP_STORED or part.file_size > len(data) for part in parts):
                raise ValueError("it holds compressed parts")
            if archive.getinfo(_DOCUMENT).file_size > _LARGEST_DOCUMENT_BYTES:
                raise ValueError(f"its {_DOCUMENT} is too large")
            document = json.loads(archive.read(_DOCUMENT))
            arrays = {
                part.filename.removesuffix(".npy"): _read_array(archive.read(part))
                for part in parts
                if part.filename.endswith(".npy")
            }
    except KeyError:
        raise ValueError(f"it has no {_DOCUMENT}") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error) or "it is no zip") from None
    if isinstance(document, dict):
        return document, arrays
    raise ValueError(f"its {_DOCUMENT} is no object")


def _read_array(data: bytes) -> NDArray[Any]:
    """One npy file's array; the header's promise is held against the bytes that are there before memory is taken."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is of an unknown format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    body = memoryview(data)[stream.tell() :]
    count = 1
    for size in shape:
        count *= int(size)
    if dtype.hasobject or fortran_order or count * dtype.itemsize != len(body):
        raise ValueError("an array's header does not fit its content")
    return np.frombuffer(body, dtype).reshape(shape).copy()
