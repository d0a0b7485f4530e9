"""Submitting, repeating and deleting generations, with what people and strangers' files may ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from core.artifacts import ArtifactStore
from core.datasets.settings import ImportSettings
from core.errors import CadenzaError, ConflictError, InputError, NotFoundError
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobState, Unit
from core.models.trainings import Model
from core.music.provenance import Provenance
from core.records.database import Database
from core.sampling.settings import GenerationSettings
from core.services.datasets import create_import
from core.services.generations import create_generation, delete_generation, find_generations, tile_size
from core.services.jobs import retry_job
from core.services.models import delete_model
from core.services.primers import PrimerChoice
from core.services.repeating import repeat
from core.services.takes import request_audio
from tests.tools.web_content import WebContent

AtOnce = Callable[..., list[Any]]


def submit(database: Database, store: ArtifactStore, model: int, primer: Any = None, **values: Any) -> Generation:
    with database.transaction() as session:
        return create_generation(session, store, model_id=model, values=values, primer=primer)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seeds": "9-1"}, "seeds: '9-1' runs backwards"),
        (
            {"seeds": "0-49999", "temperatures": "0.5,1,1.5"},
            "seeds: 150,000 takes are refused; allowed is 1 to 100,000",
        ),
        ({"length": 120.5}, "length: 120.5 notes is refused"),
        ({"length": "1e400"}, "length: '1e400' is refused; allowed is 1 to 20000"),
        ({"length": float("nan")}, "length: 'nan' is refused; allowed is 1 to 20000"),
        ({"top_p": float("inf")}, "top_p: 'inf' is refused; allowed is above 0 to 1"),
        ({"top_k": True}, "top_k: True is refused; a number is needed, allowed is 0 to 390"),
        ({"temperatures": [1, True]}, "temperatures: True and False are refused"),
        ({"temperatures": "hot"}, "temperatures: 'hot' is refused"),
        ({"program": 10**5000}, "program: 'a number of about 5,000 digits' is refused; allowed is 0 to 127"),
        ({"velocity": [64]}, "velocity: '[64]' is refused; allowed is 0 to 127"),
        ({"colour": "red"}, "colour: there is no such setting"),
        ({"seeds": None}, "seeds: 'None' is refused"),
    ],
)
def test_settings_are_refused_in_sentences(sqlite_url: str, store: ArtifactStore, values: Any, said: str) -> None:
    database = Database(sqlite_url)
    model = WebContent(database, store).model()
    with pytest.raises(InputError) as refused:
        submit(database, store, model, **values)
    assert str(refused.value).startswith(said)
    assert refused.value.problems[0].field == said.partition(":")[0]
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"kind": "piece", "piece_id": 999}, "piece_id: there is no piece 999"),
        ({"kind": "piece", "piece_id": 10**12}, "piece_id: '1000000000000' is refused; allowed is 0 to 2147483647"),
        ({"kind": "piece", "piece_id": 1, "notes": 0}, "notes: '0' is refused; allowed is 1 to 2000"),
        ({"kind": "piece", "piece_id": 1, "notes": 61}, "notes: 'Piece 0' has 60 notes; a primer of 61 is needed"),
        ({"kind": "upload", "upload_id": 5}, "upload_id: there is no uploaded file 5"),
        ({"kind": "stored", "sha256": "../../etc"}, "sha256: '../../etc' is no digest"),
        ({"kind": "stored", "sha256": "0" * 64}, "sha256: the primer 000000000000 is not here any more"),
        ({"kind": "song"}, "kind: 'song' is refused; allowed is one of default, none, piece, upload, take, stored"),
    ],
)
def test_primers_are_refused_in_sentences(content: WebContent, choice: Any, said: str) -> None:
    content.dataset()
    model = content.model()
    with pytest.raises(InputError) as refused:
        submit(content.database, content.store, model, PrimerChoice.parse(choice))
    assert str(refused.value).startswith(said)


def test_a_hundred_thousand_seeds_are_one_job_and_stay_readable(content: WebContent) -> None:
    model = content.model()
    for seeds in ("0-99999", "100000 random"):
        generation = submit(content.database, content.store, model, seeds=seeds, length=20_000)
        settings = GenerationSettings.model_validate(generation.settings)
        assert len({seed for seed, _ in settings.plan()}) == generation.takes_total == 100_000
        assert len(settings.seeds) < 200_000
        with content.database.reading() as session:
            payloads = session.scalars(select(Unit.payload).where(Unit.job_id == generation.job_id)).all()
        assert sum(payload["count"] for payload in payloads) == 100_000
        assert {payload["first"] for payload in payloads} == set(range(0, 100_000, tile_size(settings)))


@pytest.mark.parametrize(
    ("settings", "sampler", "other"),
    [({}, "2", "3"), ({"density": 4.0}, "3", "2"), ({"follow_primer": True}, "3", "2")],
)
def test_a_take_is_repeated_only_by_the_sampler_that_made_it(
    content: WebContent, settings: dict[str, Any], sampler: str, other: str
) -> None:
    number = content.model()
    with content.database.transaction() as session:
        model_hash = session.get_one(Model, number).content_hash
        with pytest.raises(InputError, match=f"made by version '{other}' of the sampler, and version '{sampler}' here"):
            repeat(session, content.store, Provenance(model_hash, 1, settings, other))
        assert repeat(session, content.store, Provenance(model_hash, 1, settings, sampler)).takes_total == 1


@pytest.mark.parametrize(
    "hostile",
    [
        {"model_hash": "\0" * 64},
        {"model_hash": "\ud800" * 64},
        {"model_hash": "ab" * 32},
        {"model_hash": "%"},
        {"sampler": "0"},
        {"sampler": "\0"},
        {"settings": {"primer": 5}},
        {"settings": {"primer": {"sha256": 5, "notes": 25}}},
        {"settings": {"primer": {"sha256": "0" * 64, "notes": True}}},
        {"settings": {"primer": [[["nested"]]]}},
        {"settings": {"temperature": float("nan")}},
        {"settings": {"temperature": [1]}},
        {"settings": {"temperature": None}},
        {"settings": {"length": 10**400}},
        {"settings": {"unknown": "\0"}},
        {"settings": {"seeds": "0-99"}, "seed": 2**32 - 1},
    ],
)
def test_a_strangers_provenance_is_refused_or_harmless(content: WebContent, hostile: dict[str, Any]) -> None:
    model = content.model()
    with content.database.reading() as session:
        own = {"model_hash": session.get_one(Model, model).content_hash, "seed": 1, "settings": {}, "sampler": "1"}
    with content.database.transaction() as session:
        try:
            generation = repeat(session, content.store, Provenance(**{**own, **hostile}))
        except InputError as error:
            str(error).encode("utf-8", "backslashreplace")
        else:
            assert (generation.takes_total, generation.settings["seeds"]) == (1, str(2**32 - 1))


def test_a_name_may_hold_anything(content: WebContent) -> None:
    model = content.model()
    with content.database.transaction() as session:
        generation = create_generation(
            session, content.store, model_id=model, values={}, name=" zero\0 half\ud800 \t two  "
        )
        assert generation.name == "zero half two"
        assert find_generations(session, search="ze\0ro half\ud800").total == 1
        with pytest.raises(InputError, match="name: 201 characters are refused; allowed is 1 to 200"):
            create_generation(session, content.store, model_id=model, values={}, name="x" * 201)


def test_of_two_deletions_one_finds_nothing(content: WebContent, at_once: AtOnce) -> None:
    number = content.generation(content.model())
    delete = partial(delete_generation, content.database, content.store, number)
    results = at_once(delete, delete)
    assert sorted(map(str, results)) == ["None", f"There is no generation {number}."]
    assert content.store.files("generations") == []


def test_a_generation_whose_takes_are_used_is_not_deleted(content: WebContent) -> None:
    number = content.generation(content.model())
    take = content.take_ids(number)[0]
    with content.database.transaction() as session:
        job = request_audio(session, content.store, take, "mp3")
        assert job is not None
    with pytest.raises(ConflictError, match=f"are used by job {job.id}"):
        delete_generation(content.database, content.store, number)
    content.finish_job(job.id)
    with content.database.transaction() as session:
        job_id = create_import(session, ImportSettings.parse({"source": "takes", "generation_id": number})).job_id
    with pytest.raises(ConflictError, match=f"are used by job {job_id}"):
        delete_generation(content.database, content.store, number)
    content.finish_job(job_id or 0)
    delete_generation(content.database, content.store, number)
    with content.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Take)) == 0


@pytest.mark.parametrize("repetition", range(3))
def test_a_model_is_deleted_or_used_but_not_both(content: WebContent, at_once: AtOnce, repetition: int) -> None:
    database, store, model = content.database, content.store, content.model()
    with database.reading() as session:
        key = session.get_one(Model, model).checkpoint_key
    deleted, submitted = at_once(
        lambda: delete_model(database, store, model), lambda: submit(database, store, model, seeds="1")
    )
    with database.reading() as session:
        rows = session.scalars(select(Generation)).all()
    if deleted is None:
        assert isinstance(submitted, InputError)
        assert (rows, store.exists(key)) == ([], False)
    else:
        assert isinstance(deleted, ConflictError)
        assert ([row.model_id for row in rows], store.exists(key)) == ([model], True)


@pytest.mark.parametrize("repetition", range(3))
def test_a_generation_is_deleted_or_tried_again_but_not_both(
    content: WebContent, at_once: AtOnce, repetition: int
) -> None:
    database, number = content.database, content.generation(content.model(), made=3)
    with database.reading() as session:
        job_id = session.get_one(Generation, number).job_id or 0
    content.finish_job(job_id, JobState.FAILED, "broken")

    def again() -> int:
        with database.transaction() as session:
            return retry_job(session, job_id).id

    deleted, retried = at_once(lambda: delete_generation(database, content.store, number), again)
    assert isinstance(deleted, CadenzaError) != isinstance(retried, CadenzaError)
    with database.reading() as session:
        left = session.get(Generation, number)
    if deleted is None:
        assert left is None
    else:
        assert left is not None
        assert left.job_id == retried
    with pytest.raises(NotFoundError, match="no generation 999"):
        delete_generation(database, content.store, 999)
