"""How many bytes owners keep in the store, from what the rows say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.trainings import Model
from core.models.uploads import Upload


def stored_bytes(session: Session, owners: Sequence[str]) -> Counter[str]:
    """Bytes of owners' takes, models, datasets and uploads. Files of audio and resume points are not counted."""
    total: Counter[str] = Counter()
    for owner, size in (
        (Generation.owner, Generation.stored_bytes),
        (Model.owner, Model.stored_bytes),
        (Dataset.owner, Dataset.stored_bytes),
        (Upload.owner, Upload.size_bytes),
    ):
        for name, sum_of_sizes in session.execute(
            select(owner, func.sum(size)).where(owner.in_(owners)).group_by(owner)
        ):
            total[name] += int(sum_of_sizes or 0)
    return total
