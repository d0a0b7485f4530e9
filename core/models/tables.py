"""Imports every table, so that `Base.metadata` is whole wherever this module is imported."""

from core.models import (
    datasets,
    evaluations,
    generations,
    jobs,
    notifications,
    operations,
    people,
    queues,
    tallies,
    trainings,
    uploads,
    workers,
)
from core.models.base import Base

__all__ = [
    "Base",
    "datasets",
    "evaluations",
    "generations",
    "jobs",
    "notifications",
    "operations",
    "people",
    "queues",
    "tallies",
    "trainings",
    "uploads",
    "workers",
]
