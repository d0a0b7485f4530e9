"""The held-out pieces of a dataset, with the certainty that no training piece is among them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from core.datasets.corpus import Corpus, Split
from core.errors import ConflictError
from core.music.notes import Notes


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPieces:
    """What a model is measured on.

    Attributes:
        pieces: of the split, those without notes left out.
        seen: how many of them are, note for note, among the pieces that the model was trained on. 0 for a model's own
            dataset, since an import drops doubles; another dataset may share pieces with it.
    """

    pieces: list[Notes]
    seen: int


def held_out_pieces(corpus: Corpus, split: Split, trained_on: Corpus | None = None, files: int = 0) -> HeldOutPieces:
    """The pieces of one split.

    Args:
        corpus: the dataset to measure on.
        split: "validation" or "test".
        trained_on: the dataset that the model was trained on, when it is another one.
        files: to how many of its training pieces the model's training was limited; 0 for all.

    Raises:
        ConflictError: there is none, or a piece of the split is also one of the corpus's own training pieces.
    """
    pieces = [piece for piece in corpus.pieces(split) if len(piece)]
    if not pieces:
        raise ConflictError(f"This dataset has no {split} piece to measure on; choose another split or dataset.")
    own = {_digest(piece) for piece in corpus.pieces("train")}
    both = sum(_digest(piece) in own for piece in pieces)
    if both:
        raise ConflictError(
            f"{both} of the {split} pieces of this dataset are training pieces too, so no figure would be held out; "
            "import it again."
        )
    others = (
        {_digest(piece) for piece in trained_on.training_pieces(files).values()} if trained_on is not None else set()
    )
    return HeldOutPieces(pieces, sum(_digest(piece) in others for piece in pieces))


def _digest(piece: Notes) -> bytes:
    digest = hashlib.sha256(piece.pitch.tobytes())
    for column in (piece.onset_seconds, piece.duration_seconds, piece.velocity):
        digest.update(column.tobytes())
    return digest.digest()
