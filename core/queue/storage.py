"""How many bytes an owner keeps in the store, from what the rows say."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.trainings import Model
from core.models.uploads import Upload


def stored_bytes(session: Session, owner: str) -> int:
    """Bytes of an owner's takes, models, datasets and uploads. Files of audio and resume points are not counted."""
    columns = (Generation.stored_bytes, Model.stored_bytes, Dataset.stored_bytes, Upload.size_bytes)
    return sum(
        session.scalar(select(func.coalesce(func.sum(column), 0)).where(column.class_.owner == owner)) or 0
        for column in columns
    )
