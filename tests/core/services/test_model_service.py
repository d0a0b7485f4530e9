"""Models: uploads from strangers, several rows of equal content, keeping the best of a training, names."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from core.artifacts import ArtifactStore
from core.errors import CheckpointError, ConflictError, InputError, NotFoundError
from core.modeling.checkpoints import Checkpoint
from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.jobs import JobState
from core.models.trainings import Model, Training
from core.records.database import Database
from core.services.datasets import delete_dataset
from core.services.keeping import keep_model
from core.services.models import delete_model, find_models, get_model, rename_model, resolve_model, upload_model
from core.services.trainings import create_training
from tests.tools.web_content import WebContent


def models(database: Database) -> list[Model]:
    with database.reading() as session:
        return list(session.scalars(select(Model).order_by(Model.id)))


def changed(data: bytes, **values: Any) -> bytes:
    """A checkpoint whose document says something else."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename == "model.json":
                content = json.dumps({**json.loads(content), **values}).encode()
            new.writestr(part, content)
    return out.getvalue()


def test_equal_models_share_nothing(content: WebContent, at_once: Callable[..., list[Any]]) -> None:
    data = content.checkpoint().to_bytes()

    def upload() -> int:
        return upload_model(content.database, content.store, data, name="same").id

    numbers = at_once(upload, upload, upload)
    assert len(set(numbers)) == 3
    first, *others = models(content.database)
    delete_model(content.database, content.store, first.id)
    for model in others:
        assert content.store.read(model.checkpoint_key) == data
    assert len(content.store.files("models")) == 2
    with content.database.reading() as session:
        assert resolve_model(session, first.content_hash[:8]).id == others[-1].id
        with pytest.raises(InputError, match="several models are named 'same'"):
            resolve_model(session, "same")
        for reference in ("", "0", "9" * 30, "\0", "\ud800", "%", "abc", str(first.id)):
            with pytest.raises(InputError, match="is unknown; give a model's number"):
                resolve_model(session, reference)


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", "{}")
        archive.writestr("weights/a.npy", bytes(50_000_000))
    return out.getvalue()


@pytest.mark.parametrize(
    "hostile",
    [
        lambda data: b"",
        lambda data: b"MThd" + data[4:],
        lambda data: data[: len(data) // 2],
        lambda data: bomb(),
        lambda data: changed(data, family="unheard"),
        lambda data: changed(data, settings={"units": 4096, "layers": 8}),
        lambda data: changed(data, figures={"loss": 10**400}),
        lambda data: changed(data, figures={"loss": float("nan")}),
        lambda data: changed(data, figures=[]),
        lambda data: changed(data, settings=[]),
    ],
)
def test_a_strangers_file_is_refused_and_leaves_nothing(
    sqlite_url: str, store: ArtifactStore, hostile: Callable[[bytes], bytes]
) -> None:
    database = Database(sqlite_url)
    data = hostile(WebContent(database, store).checkpoint().to_bytes())
    with pytest.raises(CheckpointError):
        upload_model(database, store, data, name="x")
    with pytest.raises(InputError, match="name: 300 characters"):
        upload_model(database, store, WebContent(database, store).checkpoint().to_bytes(), name="x" * 300)
    assert (models(database), store.files("models")) == ([], [])


def test_a_strangers_words_can_be_stored(content: WebContent) -> None:
    data = changed(content.checkpoint().to_bytes(), figures={"a\0b": 1.5, "half\ud800": 2})
    model = upload_model(content.database, content.store, data, name=" \0 ")
    assert (model.figures, model.name) == ({"ab": 1.5, "half": 2.0}, f"lstm {model.content_hash[:8]}")
    with content.database.transaction() as session:
        assert rename_model(session, model.id, "Ärger\0 №1").name == "Ärger №1"
        assert find_models(session, search="ärger").total in {0, 1}  # SQLite knows no case beyond ASCII
        assert find_models(session, search="№1").total == 1
        with pytest.raises(NotFoundError):
            rename_model(session, 999, "x")
        with pytest.raises(NotFoundError):
            get_model(session, 999)


def test_a_model_in_use_stays(content: WebContent) -> None:
    model = content.model()
    number = content.generation(model, made=0)
    with content.database.reading() as session:
        job_id = session.get_one(Generation, number).job_id
    with pytest.raises(ConflictError, match=f"'Small' is used by job {job_id}"):
        delete_model(content.database, content.store, model)
    content.finish_job(job_id or 0, JobState.CANCELLED)
    delete_model(content.database, content.store, model)
    assert content.store.files("models") == []
    with content.database.reading() as session:
        assert session.get_one(Generation, number).model_id is None
    with pytest.raises(NotFoundError):
        delete_model(content.database, content.store, model)


def test_keeping_at_once_makes_one_model(content: WebContent, at_once: Callable[..., list[Any]]) -> None:
    database, store = content.database, content.store
    training = content.training(content.dataset(), content.model("other", seed=5))
    with pytest.raises(ConflictError, match="has no checkpoint yet"):
        keep_model(database, store, training)
    store.write("trainings/1/best.cadenza", content.checkpoint().to_bytes())
    with database.transaction() as session:
        session.execute(update(Training).values(best_key="trainings/1/best.cadenza", evaluate=False))
    kept = at_once(*[lambda: keep_model(database, store, training).id] * 4)
    (_, model) = models(database)
    assert kept == [model.id] * 4
    assert Checkpoint.from_bytes(store.read(model.checkpoint_key)).content_hash == model.content_hash
    assert len(store.files("models")) == 2
    delete_model(database, store, model.id)
    assert store.exists("trainings/1/best.cadenza")
    assert keep_model(database, store, training).id > model.id


@pytest.mark.parametrize("repetition", range(2))
def test_a_dataset_is_deleted_or_trained_on(
    content: WebContent, at_once: Callable[..., list[Any]], repetition: int
) -> None:
    database, dataset = content.database, content.dataset()

    def train() -> int:
        with database.transaction() as session:
            return create_training(session, dataset_id=dataset, family="lstm", values={}).id

    deleted, trained = at_once(lambda: delete_dataset(database, content.store, dataset), train)
    with database.reading() as session:
        there = session.get(Dataset, dataset) is not None
        count = session.scalar(select(func.count()).select_from(Training))
    if deleted is None:
        assert isinstance(trained, InputError)
        assert (there, count) == (False, 0)
    else:
        assert isinstance(deleted, ConflictError)
        assert (there, count) == (True, 1)
