"""The shipped model among an installation's models: added once, deleted for good, known by its content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from core.models.datasets import Dataset
from core.models.trainings import Model
from core.ready.shipped import ready_checkpoint, ready_model
from core.services.lineage import trained_on
from core.services.models import delete_model, upload_model
from core.services.ready import add_ready_model
from tests.tools.web_content import WebContent


def test_two_who_ask_at_once_get_one_model(content: WebContent, at_once: Callable[..., list[Any]]) -> None:
    def add() -> tuple[int, bool]:
        model, added = add_ready_model(content.database, content.store, "ada")
        return model.id, added

    answers = at_once(add, add, add)
    assert sorted(answers) == [(1, False), (1, False), (1, True)]
    with content.database.reading() as session:
        model = session.scalars(select(Model)).one()
    assert (model.name, model.owner, model.origin) == (ready_model().name, "ada", "ready")
    assert (model.content_hash, model.dataset_name) == (ready_model().content_hash, ready_model().dataset_name)
    assert model.figures["held_out_nats_per_event"] > 0
    assert content.store.files("models") == [model.checkpoint_key]
    assert content.store.read(model.checkpoint_key) == ready_checkpoint()
    assert model.stored_bytes == len(ready_checkpoint())


def test_it_is_deleted_like_any_other_and_comes_back_when_asked_for(content: WebContent) -> None:
    number = add_ready_model(content.database, content.store)[0].id
    delete_model(content.database, content.store, number)
    with content.database.reading() as session:
        assert not session.scalars(select(Model)).all()
    assert not content.store.files("models")
    model, added = add_ready_model(content.database, content.store)
    assert added
    assert model.id != number


def test_a_copy_that_somebody_uploaded_is_it(content: WebContent) -> None:
    uploaded = upload_model(content.database, content.store, ready_checkpoint(), name="Copy")
    assert add_ready_model(content.database, content.store)[0].id == uploaded.id
    assert content.store.files("models") == [uploaded.checkpoint_key]


def test_a_failure_leaves_no_file(content: WebContent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.services.ready.add_stored_model", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        add_ready_model(content.database, content.store)
    assert not content.store.files("models")


def test_its_dataset_is_any_import_of_the_same_music(content: WebContent) -> None:
    number = add_ready_model(content.database, content.store)[0].id
    another_model = content.model()
    other, same = content.dataset("Other music"), content.dataset("Chorales")
    with content.database.transaction() as session:
        assert trained_on(session, number) is None
        session.get_one(Dataset, same).content_hash = ready_model().dataset_hash
    with content.database.reading() as session:
        found = trained_on(session, number)
        assert found is not None
        assert found.id == same
        assert trained_on(session, another_model) is None
    assert other != same
