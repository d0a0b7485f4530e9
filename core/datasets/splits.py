"""Which pieces are trained on and which are held out."""

from __future__ import annotations

from collections.abc import Sequence

from core.datasets.corpus import Split

_TRAIN_BELOW = 0.8
_VALIDATION_BELOW = 0.9
# Any 48 bits of a digest would do; by these the starter dataset, which is small, comes close to 80/10/10.
_DIGITS = slice(24, 36)


def split_pieces(digests: Sequence[str], official: Sequence[Split | None]) -> list[Split]:
    """The split of each piece.

    An official split is kept. Any other piece is placed by its own content alone: 48 bits of its digest as
    a fraction below 0.8 mean train, below 0.9 validation, else test, so that the same piece always falls on the same
    side, whatever it is imported with. Chance can leave a small dataset without a piece to train on or to validate by;
    then, of two pieces and more, the one whose fraction comes next moves: to train first, and out of train into
    validation (of three pieces and more). Nothing is taken out of an official split of test.

    Args:
        digests: hexadecimal digests of the pieces' notes, all different.
        official: the split that a table gives each piece, or None.
    """
    splits = [given or _by_digest(digest) for digest, given in zip(digests, official, strict=True)]
    order = sorted(range(len(splits)), key=lambda index: _fraction(digests[index]))
    if splits and "train" not in splits:
        movable = [index for index in order if splits[index] == "validation" or official[index] is None]
        if movable:
            splits[movable[0]] = "train"
    if len(splits) >= 3 and "validation" not in splits:
        trained = [index for index in order if splits[index] == "train"]
        if len(trained) >= 2:
            splits[trained[-1]] = "validation"
        else:
            tested = [index for index in order if splits[index] == "test" and official[index] is None]
            if tested:
                splits[tested[0]] = "validation"
    return splits


def _fraction(digest: str) -> float:
    return int(digest[_DIGITS], 16) / 2.0**48


def _by_digest(digest: str) -> Split:
    fraction = _fraction(digest)
    if fraction < _TRAIN_BELOW:
        return "train"
    return "validation" if fraction < _VALIDATION_BELOW else "test"
