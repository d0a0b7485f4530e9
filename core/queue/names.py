"""The names of the queues, for those that start parts before anything is loaded. Loads nothing itself."""

from __future__ import annotations

from enum import StrEnum


class Queue(StrEnum):
    """What a worker serves."""

    TRAINING = "training"
    GENERATION = "generation"
    LIGHT = "light"
