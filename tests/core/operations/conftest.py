"""Installations with something of everything in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind, without a table."""
    url = f"sqlite:///{tmp_path / 'old.sqlite'}" if request.param == "sqlite" else None
    database = Database(url or request.getfixturevalue("postgres_url"))
    yield database
    database.dispose()
