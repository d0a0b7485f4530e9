"""What a person means by a number, a name or the start of a content hash."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.datasets import Dataset

_SHORTEST_HASH = 8


def resolve_dataset(session: Session, reference: str) -> Dataset:
    """The dataset of this number, name, or start of a content hash (8 characters or more), in this order.

    Raises:
        InputError: none or several fit.
    """
    reference = reference.strip()
    if reference.isascii() and reference.isdigit() and len(reference) < 10:
        by_number = session.get(Dataset, int(reference))
        if by_number is not None:
            return by_number
    by_name = select(Dataset).where(Dataset.name == reference).order_by(Dataset.id.desc()).limit(2)
    found = list(session.scalars(by_name))
    if not found and len(reference) >= _SHORTEST_HASH:
        by_hash = select(Dataset).where(Dataset.content_hash.startswith(reference.lower(), autoescape=True))
        # Equal content trains equal models, so any of several imports will do.
        found = list(session.scalars(by_hash.order_by(Dataset.id.desc()).limit(1)))
    if not found:
        raise InputError.of(
            "dataset", f"dataset: {reference[:80]!r} is unknown; give a dataset's number, name or content hash."
        )
    if len(found) > 1:
        raise InputError.of(
            "dataset", f"dataset: several datasets are named {reference[:80]!r}; give the dataset's number."
        )
    return found[0]
