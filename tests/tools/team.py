"""A team with accounts in front of an application, for tests of who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import update

from core.models.generations import Generation
from core.models.jobs import Job, JobLog, Unit
from core.models.people import Person
from core.models.trainings import Training
from core.people import accounts, tokens
from core.people.passwords import hash_password
from core.people.rights import Role
from webui.context import Services

PASSWORD = "seven green horses"
NAMES = {"ada": Role.ADMINISTRATOR, "mia": Role.MEMBER, "max": Role.MEMBER, "vera": Role.VIEWER}
_HASH = hash_password(PASSWORD)


@dataclass(frozen=True)
class Team:
    """An administrator, two members and a viewer."""

    app: APIFlask

    @property
    def services(self) -> Services:
        """What the application works with."""
        held: Services = self.app.extensions["cadenza"]
        return held

    def turn_on(self) -> None:
        """Add everybody; accounts are on from here, and trying often is allowed."""
        held = self.services
        settings = held.settings.model_copy(update={"sign_ins_per_minute": 10_000, "submissions_per_minute": 10_000})
        self.app.extensions["cadenza"] = replace(held, settings=settings)
        with self.services.database.transaction() as session:
            for name, role in NAMES.items():
                session.add(Person(name=name, role=role, password_hash=_HASH))
        self.services.accounts.look_again()

    def browser(self, name: str, password: str = PASSWORD) -> FlaskClient:
        """A browser in which somebody has signed in."""
        client = self.app.test_client()
        client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
        answer = client.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text[-500:]
        return client

    def token(self, name: str, scope: str = "write", days: int = 7) -> str:
        """A token of somebody."""
        with self.services.database.transaction() as session:
            person = accounts.get_person(session, name)
            settings = tokens.TokenSettings(name=f"{name}'s {scope}", scope=scope, days=days)  # type: ignore[arg-type]
            return tokens.create_token(session, person, settings)[1]

    def program(self, name: str, scope: str = "write") -> Callable[..., Any]:
        """Asks the API with a token of somebody."""
        client, headers = self.app.test_client(), {"Authorization": f"Bearer {self.token(name, scope)}"}

        def ask(method: str, path: str, **options: Any) -> Any:
            return client.open(path, method=method, headers=headers | options.pop("headers", {}), **options)

        return ask

    def give(self, everything: Any, owner: str) -> None:
        """Make one of everything somebody's."""
        with self.services.database.transaction() as session:
            for table in (Job, Unit, Generation, Training):
                session.execute(update(table).values(owner=owner))
            session.execute(
                update(Job).values(title="The zarathustra symphony", error="It was zarathustra.", phase="zarathustra")
            )
            session.execute(
                update(Generation).values(name="The zarathustra symphony", primer_title="zarathustra primer")
            )
            session.execute(update(Training).values(name="The zarathustra symphony"))
            session.add(JobLog(job_id=everything.job, message="a zarathustra line"))
