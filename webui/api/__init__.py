"""The JSON API under /api/v1: everything that a page can do. One file per noun; all belong to the blueprint `api`."""

from webui.api import (
    datasets,
    docs,
    errors,
    evaluations,
    families,
    generations,
    jobs,
    models,
    notifications,
    people,
    queue,
    retention,
    system,
    takes,
    trainings,
    uploads,
)
from webui.api.blueprint import api

__all__ = [
    "api",
    "datasets",
    "docs",
    "errors",
    "evaluations",
    "families",
    "generations",
    "jobs",
    "models",
    "notifications",
    "people",
    "queue",
    "retention",
    "system",
    "takes",
    "trainings",
    "uploads",
]
