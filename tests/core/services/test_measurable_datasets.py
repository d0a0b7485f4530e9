"""On which datasets a model can be measured, as both databases see it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from core.models.datasets import Dataset
from core.records.database import Database
from core.services.evaluations import can_be_measured_on


def test_only_ready_datasets_with_held_out_pieces_can_be_measured_on(database: Database):
    counts: dict[str, dict[str, Any]] = {
        "validation": {"train": {"pieces": 9}, "validation": {"pieces": 1}},
        "test": {"train": {"pieces": 9}, "validation": {"pieces": 0}, "test": {"pieces": 12}},
        "none": {"train": {"pieces": 9}, "validation": {"pieces": 0}, "test": {"pieces": 0}},
        "nothing known": {},
    }
    with database.transaction() as session:
        for name, splits in counts.items():
            session.add(Dataset(name=name, source={}, ready=True, statistics={"splits": splits}))
        session.add(Dataset(name="not ready", source={}, ready=False, statistics={"splits": counts["test"]}))
        session.add(Dataset(name="empty", source={}, ready=True, statistics={}))
    with database.reading() as session:
        found = set(session.scalars(select(Dataset.name).where(can_be_measured_on())))
    assert found == {"validation", "test"}
