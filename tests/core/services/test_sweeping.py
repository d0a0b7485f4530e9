"""Files that no row speaks of go; all others stay, and so do young ones."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update

from core.models.base import utc_now
from core.models.generations import Generation
from core.models.jobs import Job
from core.models.trainings import Training
from core.services.models import get_model
from core.services.primers import PrimerChoice, resolve_primer
from core.services.sweeping import SWEEP_AFTER, EndedSweep, sweep
from core.services.takes import audio_key, get_take
from tests.tools.web_content import WebContent


def age(content: WebContent, *keys: str) -> None:
    """Make files look two days old."""
    then = (utc_now() - timedelta(days=2)).timestamp()
    for key in keys:
        os.utime(content.store.local_path(key) or Path(), (then, then))


def test_only_old_files_without_a_row_go(content: WebContent) -> None:
    dataset, model = content.dataset(), content.model()
    number = content.generation(model)
    training = content.training(dataset, model)
    with content.database.transaction() as session:
        primer = resolve_primer(
            session, content.store, PrimerChoice(kind="piece", piece_id=1), get_model(session, model)
        )
        assert primer is not None
        session.get_one(Generation, number).primer_key = primer.key
        session.execute(update(Training).where(Training.id == training).values(best_key="trainings/1/best-a.cadenza"))
        audio = audio_key(get_take(session, content.take_ids(number)[0]), "mp3")
    needed = [audio, "trainings/1/best-a.cadenza"]
    rubbish = [
        "audio/ff/" + "f" * 64 + ".mp3",
        f"{audio}.12345678.part",
        "generations/999/takes/000000-1-1.mid",
        f"generations/{number}/takes/000000-1-1.mid",
        f"generations/{number}/takes/strange.mid",
        "generations/strange/x",
        "models/abc/def.cadenza",
        "primers/" + "0" * 64 + ".mid",
        "trainings/1/resume-1-1-5.bin",
    ]
    for key in needed + rubbish:
        content.store.write(key, b"x")
    before = {key for folder in ("audio", "generations", "models", "primers", "trainings", "datasets")
              for key in content.store.files(folder)}  # fmt: skip
    assert sweep(content.database, content.store) == 0
    age(content, *before)
    young = rubbish.pop()
    content.store.write(young, b"written anew")
    assert sweep(content.database, content.store) == len(rubbish)
    left = {key for folder in ("audio", "generations", "models", "primers", "trainings", "datasets")
            for key in content.store.files(folder)}  # fmt: skip
    assert left == before - set(rubbish)
    assert sweep(content.database, content.store, timedelta(0)) == 1


def test_a_primer_that_comes_back_to_use_is_safe(content: WebContent) -> None:
    content.dataset()
    model = content.model()
    keys = []
    for _ in range(2):
        with content.database.transaction() as session:
            chosen = resolve_primer(
                session, content.store, PrimerChoice(kind="piece", piece_id=1), get_model(session, model)
            )
        assert chosen is not None
        keys.append(chosen.key)
        if len(keys) == 1:
            age(content, chosen.key)
    assert keys[0] == keys[1]
    # Its generation is not committed yet, and still the file is not swept.
    assert sweep(content.database, content.store) == 0
    assert content.store.exists(keys[0])


def test_generations_that_ended_long_ago_are_not_listed(content: WebContent) -> None:
    number = content.generation(content.model())
    key = f"generations/{number}/takes/000000-9-9.mid"
    content.store.write(key, b"x")
    age(content, key)
    with content.database.transaction() as session:
        job = session.scalars(select(Job)).one()
        job.finished_at = utc_now() - SWEEP_AFTER - timedelta(days=8)
    assert sweep(content.database, content.store) == 0
    with content.database.transaction() as session:
        session.scalars(select(Job)).one().finished_at = utc_now()
    assert sweep(content.database, content.store) == 1


def test_what_dead_writers_left_goes_soon_after_the_end(content: WebContent) -> None:
    dataset, model = content.dataset(), content.model()
    ended, other, trained = content.generation(model), content.generation(model, made=2), content.generation(model)
    training = content.training(dataset, model)
    best = f"trainings/{training}/best-a.cadenza"
    content.store.write(best, b"x")
    kept = [*content.store.files("generations"), *content.store.files("trainings")]
    with content.database.transaction() as session:
        for number in (ended, trained):
            job = session.get_one(Job, session.get_one(Generation, number).job_id)
            job.finished_at = utc_now()
        row = session.get_one(Training, training)
        row.best_key, row.job_id = best, job.id
    rubbish = [f"generations/{ended}/takes/000001-9-1.mid", f"generations/{ended}/takes/000001-9-2.mid.0a1b.part"]
    rubbish.append(f"trainings/{training}/resume-1-1-5.bin")
    running = f"generations/{other}/takes/000007-9-1.mid"
    for key in [*rubbish, running]:
        content.store.write(key, b"x")
    sweeper = EndedSweep(content.database, content.store)
    assert sweeper.look() == len(rubbish)
    assert sorted([*content.store.files("generations"), *content.store.files("trainings")]) == sorted([*kept, running])
    assert sweeper.look() == 0

    content.make_takes(other)
    assert sweeper.look() == 1
    assert not content.store.exists(running)
