"""An application over a database of its own, empty or with one of everything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import event

from core.models.jobs import JobKind, Queue
from core.queue.enqueue import enqueue
from core.settings import Settings
from tests.tools.web_content import WebContent
from webui.app import create_app
from webui.context import Services, attach_services
from webui.pages.live import attach_hub


@dataclass(frozen=True)
class Everything:
    """Numbers of one of everything."""

    dataset: int
    piece: int
    model: int
    training: int
    generation: int
    takes: list[int]
    evaluation: int
    job: int


class Browser(FlaskClient):
    """Reads each answer to its end and closes it, as browsers do."""

    def open(self, *args: Any, buffered: bool = True, **options: Any) -> Any:
        return super().open(*args, buffered=buffered, **options)


@pytest.fixture(scope="session")
def one_app(tmp_path_factory: pytest.TempPathFactory) -> APIFlask:
    """An application that all tests share, since its templates take half a second to compile."""
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("web"), port=0, _env_file=None))
    app.test_client_class = Browser
    services(app).database.dispose()
    return app


@pytest.fixture
def app(one_app: APIFlask, settings: Settings, sqlite_url: str) -> Iterator[APIFlask]:
    """The application over an empty database; forms need no token here, other tests are about those."""
    attach_services(one_app, settings.model_copy(update={"database_url": sqlite_url}))
    attach_hub(one_app)
    one_app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    yield one_app
    services(one_app).database.dispose()


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    """A browser without scripts."""
    return app.test_client()


@pytest.fixture
def content(app: APIFlask) -> WebContent:
    """Fills the application."""
    return WebContent(services(app).database, services(app).store)


@pytest.fixture
def everything(content: WebContent) -> Everything:
    """One of everything, as its workers would have made it."""
    dataset = content.dataset()
    model = content.model()
    training = content.training(dataset, model)
    generation = content.generation(model)
    evaluation = content.evaluation(model, dataset, generation)
    content.worker()
    with content.database.transaction() as session:
        job = enqueue(
            session,
            kind=JobKind.IMPORT,
            queue=Queue.LIGHT,
            title="Import of nothing",
            owner="local",
            payloads=[{}],
            request={},
        )
    return Everything(dataset, 1, model, training, generation, content.take_ids(generation), evaluation, job.id)


@pytest.fixture
def count_queries(app: APIFlask) -> Callable[[], AbstractContextManager[list[str]]]:
    """Collects the statements that the application sends to its database."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        statements: list[str] = []

        def remember(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            statements.append(statement)

        engine = services(app).database.engine
        event.listen(engine, "before_cursor_execute", remember)
        yield statements
        event.remove(engine, "before_cursor_execute", remember)

    return counting


@pytest.fixture
def links_of() -> Callable[[str], set[str]]:
    """Every address that a page's HTML refers to."""

    def links(html: str) -> set[str]:
        names = "href|src|action|data-src|data-chart|data-play|data-roll|data-sprite|data-worker"
        found = re.findall(rf'\b(?:{names})="([^"]*)"', html)
        return {link.replace("&amp;", "&") for link in found if link}

    return links


def services(app: APIFlask) -> Services:
    """What the application works with."""
    held: Services = app.extensions["cadenza"]
    return held
