"""What travels to another machine and back: a corpus in one small file, and weights in files of limited size."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.datasets.corpus import SPLITS, Corpus
from core.datasets.metadata import read_metadata
from core.encoding.performance import STEPS_PER_SECOND, bin_velocity, decode, encode, velocity_bin
from core.errors import CheckpointError, StorageError
from core.modeling.archive import pack, unpack
from core.modeling.checkpoints import Checkpoint
from core.music.notes import Notes

_LARGEST_PART_BYTES = 15 * 10**6
_LONGEST_GAP = 65_535


def read_corpus(path: Path) -> Corpus:
    """The train and validation pieces of a zip in MAESTRO's layout, or of a dataset's stored `corpus.npz`.

    Raises:
        CadenzaError: the file or one of its MIDI files is damaged.
        OSError: there is no such file.
    """
    try:
        return Corpus.from_bytes(path.read_bytes()) if path.suffix == ".npz" else _read_zip(path)
    except zipfile.BadZipFile as error:
        raise StorageError(f"{path} is damaged, or no zip ({error}); fetch it again.") from None


def _read_zip(path: Path) -> Corpus:
    from core.music.reading import read_midi

    pieces, splits = [], []
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
        table = read_metadata(b"".join(archive.read(name) for name in names if name.endswith(".csv")))
        for name in names:
            split = table.find(name).split
            if name.endswith((".mid", ".midi")) and split in {"train", "validation"}:
                pieces.append(read_midi(archive.read(name)).notes)
                splits.append(split)
    return Corpus.of(pieces, splits)


def pack_corpus(corpus: Corpus) -> bytes:
    """The train and validation pieces as the performance encoding holds them: 10 ms, 32 velocities.

    `encode` gives for what `unpack_corpus` reads the same events as for the original; so held-out figures are those of
    the original.
    """
    kept = np.flatnonzero(corpus.splits != SPLITS.index("test"))
    pieces = [decode(encode(corpus.piece(int(index)))) for index in kept]
    whole = Corpus.of(pieces, [SPLITS[corpus.splits[index]] for index in kept])
    notes = whole.notes
    starts = np.repeat(whole.offsets[:-1], np.diff(whole.offsets))
    onset = np.rint(notes.onset_seconds * STEPS_PER_SECOND).astype(np.int64)
    gap = np.diff(onset, prepend=0)
    gap[starts == np.arange(onset.size)] = onset[starts == np.arange(onset.size)]
    duration = np.rint(notes.duration_seconds * STEPS_PER_SECOND).astype(np.int64)
    if max(gap.max(initial=0), duration.max(initial=0)) > _LONGEST_GAP:
        raise ValueError(f"a pause or note lasts longer than {_LONGEST_GAP / STEPS_PER_SECOND:g} s")
    buffer = io.BytesIO()
    np.savez(
        buffer,
        gap=_bytes_apart(gap),
        duration=_bytes_apart(duration),
        pitch=notes.pitch,
        velocity=velocity_bin(notes.velocity).astype(np.uint8),
        offsets=whole.offsets,
        splits=whole.splits,
    )
    return lzma.compress(buffer.getvalue(), preset=6)


def unpack_corpus(data: bytes) -> Corpus:
    """Read back what `pack_corpus` wrote; of anything else raises what numpy and the decompressor do."""
    with np.load(io.BytesIO(lzma.decompress(data)), allow_pickle=False) as arrays:
        offsets = arrays["offsets"]
        onset = np.cumsum(_bytes_together(arrays["gap"]))
        sizes = np.diff(offsets)
        # Each piece counts its time from its own start.
        before = np.concatenate(([0], onset))[offsets[:-1]]
        onset -= np.repeat(before, sizes)
        notes = Notes(
            onset / STEPS_PER_SECOND,
            _bytes_together(arrays["duration"]) / STEPS_PER_SECOND,
            arrays["pitch"],
            bin_velocity(arrays["velocity"].astype(np.int64)),
        )
        return Corpus(notes, offsets, arrays["splits"])


def read_packed(path: Path) -> tuple[Corpus, str]:
    """The corpus of a file that `pack_corpus` gave, and the file's SHA-256.

    Raises:
        StorageError: there is no such file, or it holds anything else.
    """
    try:
        data = path.read_bytes()
        return unpack_corpus(data), _digest(data)
    except FileNotFoundError:
        raise StorageError(f"There is no corpus file {path}; bring it here, or write it with `encode`.") from None
    except (lzma.LZMAError, zipfile.BadZipFile, ValueError, KeyError, IndexError, EOFError) as error:
        raise StorageError(
            f"{path} is damaged, or no corpus that `encode` wrote ({error}); bring it here again, or encode it anew."
        ) from None


def packed_digest(path: Path) -> str:
    """The file's SHA-256, as `read_packed` gives it."""
    return _digest(path.read_bytes())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file aside and rename it: whoever reads it finds the old content or the new one, never a part."""
    aside = path.with_name(f"{path.name}.aside")
    aside.write_bytes(data)
    aside.replace(path)


def split_checkpoint(checkpoint: Checkpoint, folder: Path, largest_bytes: int = _LARGEST_PART_BYTES) -> list[Path]:
    """Write a checkpoint into files of limited size, its weights as float16, and a list of them.

    The parts of an earlier one stay until the list names the new ones, so that the folder holds a whole checkpoint at
    every moment.

    Returns:
        The list `weights.json` and the parts.
    """
    document = {name: getattr(checkpoint, name) for name in ("family", "encoding", "settings", "figures")}
    data = pack(document, {name: array.astype(np.float16) for name, array in checkpoint.weights.items()})
    digest = hashlib.sha256(data).hexdigest()
    parts = []
    for number, at in enumerate(range(0, len(data), largest_bytes)):
        # Named by what is in them, so that no part ever takes another one's place.
        path = folder / f"weights-{digest[:12]}-{number:02d}-{largest_bytes}.part"
        write_whole(path, data[at : at + largest_bytes])
        parts.append(path)
    listed = {"sha256": digest, "parts": [path.name for path in parts]}
    write_whole(folder / "weights.json", json.dumps(listed).encode())
    for old in set(folder.glob("weights-*.part")) - set(parts):
        old.unlink()
    return [folder / "weights.json", *parts]


def join_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint whose parts lie in a folder.

    Raises:
        CheckpointError: its list or a part is missing, or a part is damaged.
    """
    try:
        listed = json.loads((folder / "weights.json").read_bytes())
        data = b"".join((folder / str(name)).read_bytes() for name in listed["parts"])
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{error.filename} is missing; bring weights.json and all parts that it names into one folder."
        ) from None
    if hashlib.sha256(data).hexdigest() != listed["sha256"]:
        raise CheckpointError(f"A part of the weights in {folder} is damaged; bring all of them again.")
    document, arrays = unpack(data)
    checkpoint = Checkpoint(**document, weights={name: array.astype(np.float32) for name, array in arrays.items()})
    checkpoint.check()
    return checkpoint


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bytes_apart(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Low bytes, then high bytes: the latter are nearly all zero and shrink to nothing."""
    return np.concatenate([values & 0xFF, values >> 8]).astype(np.uint8)


def _bytes_together(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    low, high = np.split(values.astype(np.int64), 2)
    return low | (high << 8)
