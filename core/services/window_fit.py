"""Whether a training's window fits the pieces that it would be cut from: said before the training, not only after."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.datasets import Dataset, Piece
from core.training.settings import EventSettings, FamilySettings, TutorialSettings


def window_advice(dataset: Dataset | None, settings: FamilySettings) -> str:
    """What to know of a window that is longer than every piece; empty where one is long enough, or nobody knows.

    Such a training is no mistake, since the rest of each window is padding, but it takes longer for nothing.
    """
    if dataset is None or not isinstance(settings, EventSettings):
        return ""
    longest = int(dataset.statistics.get("splits", {}).get("train", {}).get("longest_events", 0))
    if not longest or settings.window <= longest:
        return ""
    return (
        f"The window of {settings.window:,} events is longer than every training piece (the longest has "
        f"{longest:,}): the rest of each window is padding, which takes time and teaches nothing. Set a window of "
        f"{longest:,} or less."
    )


def check_window(session: Session, dataset: Dataset, settings: FamilySettings) -> None:
    """Refuse a window of the article's network that no chosen piece is longer than: there would be nothing to learn.

    Raises:
        InputError: names the longest piece and what fits.
    """
    if not isinstance(settings, TutorialSettings):
        return
    chosen = (
        select(Piece.notes_count)
        .where(Piece.dataset_id == dataset.id, Piece.split == "train")
        .order_by(Piece.index)
        .limit(settings.files or None)
    )
    counts = session.scalars(chosen).all()
    longest = max(counts, default=0)
    if not counts or settings.window < longest:
        return
    pieces = "piece" if len(counts) == 1 else f"longest of the {len(counts):,} pieces"
    fits = f"set {longest - 1} or less" if longest > 2 else "choose longer pieces"
    more = ", or train on more pieces" if settings.files else ""
    raise InputError.of(
        "window",
        f"window: {settings.window} notes are refused: the {pieces} to train on has {longest:,} notes, and a note must "
        f"follow the window; {fits}{more}.",
    )
