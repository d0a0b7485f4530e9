"""Installations with something of everything in them."""

from __future__ import annotations

import pytest

from core.artifacts import ArtifactStore
from core.records.database import Database
from tests.tools.web_content import WebContent


@pytest.fixture
def content(database: Database, store: ArtifactStore) -> WebContent:
    """An installation with a dataset, a model, a training and takes."""
    made = WebContent(database, store)
    dataset = made.dataset()
    model = made.model()
    made.training(dataset, model)
    made.generation(model, "0-7")
    made.worker("w")
    return made
