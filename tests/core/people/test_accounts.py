"""People, sign-ins, tokens, sight and the audit log, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from core.errors import ConflictError, SignInError
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobKind, JobLog, Queue
from core.models.people import ApiToken, AuditEntry, Person, SignIn
from core.models.trainings import Training
from core.models.uploads import Upload
from core.people import accounts, audit, sign_ins, tokens
from core.people.rights import SYSTEM_ACTOR, Actor, Role
from core.queue.enqueue import enqueue
from core.records.database import Database

PASSWORD = "seven green horses"
IDLE = timedelta(hours=12)


def add(database: Database, name: str, role: Role = Role.ADMINISTRATOR) -> None:
    with database.transaction() as session:
        accounts.add_person(session, name=name, role=role, password=PASSWORD)


def test_a_sign_in_from_its_beginning_to_its_end(database: Database) -> None:
    add(database, "ada")
    with database.transaction() as session:
        person = sign_ins.check_password(session, " ADA ", PASSWORD)
        secret = sign_ins.begin(session, person, "10.0.0.1", "a browser")
    with database.reading() as session:
        found = sign_ins.find_sign_in(session, secret, IDLE)
        assert found is not None
        assert (found.person.name, found.address) == ("ada", "10.0.0.1")
        assert sign_ins.find_sign_in(session, secret + "x", IDLE) is None
        assert sign_ins.find_sign_in(session, secret, timedelta(0)) is None
    with database.transaction() as session:
        sign_ins.end(session, accounts.get_person(session, "ada"), found.id)
    with database.reading() as session:
        assert sign_ins.find_sign_in(session, secret, IDLE) is None
        told = list(session.execute(select(AuditEntry.action, AuditEntry.actor).order_by(AuditEntry.id)))
    assert told == [("person.add", "system"), ("person.sign_in", "ada"), ("person.sign_out", "system")]


@pytest.mark.parametrize(("name", "password"), [("ada", "no"), ("ada", ""), ("eve", PASSWORD), ("", ""), ("a\0", "x")])
def test_what_does_not_fit_is_refused_in_the_same_words(sqlite_url: str, name: str, password: str) -> None:
    database = Database(sqlite_url)
    add(database, "ada")
    with database.transaction() as session, pytest.raises(SignInError, match="do not fit together"):
        sign_ins.check_password(session, name, password)
    database.dispose()


def test_a_record_is_kept_only_with_its_act(database: Database) -> None:
    def fail_after_recording() -> None:
        with database.transaction() as session:
            audit.record(session, "job.cancel", subject="job", number=1, title="\0ghost")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_recording()
    with database.transaction() as session:
        audit.record(session, "job.cancel", subject="job", number=1, title="half \ud800 a pair", to=3)
    with database.reading() as session:
        (entry,) = audit.find_entries(session, audit.AuditFilter(action="job.")).items
        assert (entry.actor, entry.title, entry.detail) == ("system", "half  a pair", {"to": 3})
        assert audit.find_entries(session, audit.AuditFilter(action="job")).total == 0
        assert audit.find_entries(session, audit.AuditFilter(search="HALF", subject="job", number=1)).total == 1
        later = audit.AuditFilter(since=entry.at + timedelta(seconds=1))
        assert audit.find_entries(session, later).total == 0


def test_of_two_administrators_who_remove_each_other_at_once_one_stays(database: Database) -> None:
    add(database, "ada")
    add(database, "bob")

    def remove(name: str) -> bool:
        try:
            with database.transaction() as session:
                accounts.change_person(session, name, disabled=True)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, ("ada", "bob"))) == [False, True]
    with database.reading() as session:
        assert session.scalar(select(func.count(Person.id)).where(Person.disabled.is_(False))) == 1


def test_disabling_ends_sign_ins_and_tokens(database: Database) -> None:
    add(database, "ada")
    add(database, "mia", Role.MEMBER)
    with database.transaction() as session:
        person = accounts.get_person(session, "mia")
        secret = sign_ins.begin(session, person)
        _token, key = tokens.create_token(session, person, tokens.TokenSettings(name="plots"))
    with database.reading() as session:
        assert tokens.find_token(session, key) is not None
    with database.transaction() as session:
        accounts.change_person(session, "mia", disabled=True)
    with database.reading() as session:
        assert tokens.find_token(session, key) is None
        assert sign_ins.find_sign_in(session, secret, IDLE) is None
        assert session.scalar(select(func.count(SignIn.id))) == 0
        assert session.scalar(select(ApiToken.revoked_at)) is not None


def test_sight_filters_lists_counts_and_words_while_decisions_see_all(database: Database) -> None:
    with database.transaction() as session:
        for owner in ("mia", "max"):
            job = enqueue(
                session, kind=JobKind.GENERATION, queue=Queue.GENERATION, title=f"{owner}'s symphony", owner=owner,
                payloads=[{}], request={"subject": "generation", "subject_id": 1},
            )  # fmt: skip
            job.error = "It broke."
            values = {"model_name": "m", "model_hash": "", "name": f"{owner}'s symphony", "owner": owner}
            session.add(generation := Generation(**values, settings={}, takes_total=1, takes_done=1, job_id=job.id))
            session.add(Training(name="t", owner=owner, family="lstm", settings={}))
            session.add(Upload(owner=owner, file_name="f", key="k", size_bytes=1, sha256="x"))
            session.add(JobLog(job_id=job.id, message=f"{owner} hums"))
            session.flush()
            figures = {"notes_count": 1, "seconds": 1.0, "notes_per_second": 1.0, "pitch_class_entropy": 1.0}
            row = {"seed": 1, "temperature": 1.0, "midi_key": "k", "midi_bytes": 1, "sha256": "s", "measures": {}}
            session.add(Take(generation_id=generation.id, index=0, polyphony=1.0, **figures, **row))
    tables = (Generation, Take, Training, Upload, JobLog)
    mia = Actor("mia", Role.MEMBER, sees_all=False)
    for actor, seen in ((mia, 1), (SYSTEM_ACTOR, 2)):
        database.actor_of = lambda actor=actor: actor
        with database.reading() as session:
            for table in tables:
                assert session.scalar(select(func.count()).select_from(table)) == seen, table
                assert len(session.scalars(select(table)).all()) == seen, table
            assert session.scalar(select(func.count(Generation.id))) == seen
            assert (session.get(Generation, 2) is None) == (seen == 1)
            titles = {job.title for job in session.scalars(select(Job))}
            assert titles == {"mia's symphony", "Someone's job" if seen == 1 else "max's symphony"}
            joined = session.execute(select(Job, Generation).outerjoin(Generation, Generation.job_id == Job.id)).all()
            assert [generation is None for _job, generation in joined] == [False, seen == 1]
        with database.reading(all_rows=True) as session:
            assert session.scalar(select(func.count(Generation.id))) == 2
        with database.transaction() as session:
            assert len(session.scalars(select(Take)).all()) == 2
            assert {job.owner for job in session.scalars(select(Job))} == {"mia", "max"}
    shown = Actor("mia", Role.MEMBER, sees_all=True)
    database.actor_of = lambda: shown
    with database.reading() as session:
        assert session.scalar(select(func.count(Generation.id))) == 2
        assert session.scalar(select(func.count(Upload.id))) == 1, "files that wait are their sender's alone"
