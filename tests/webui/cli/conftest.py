"""A live server on loopback over a database of its own, and the command line in front of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from click.testing import CliRunner, Result
from werkzeug.serving import BaseWSGIServer, make_server

from core.settings import Settings
from tests.tools.web_content import WebContent
from webui.app import create_app
from webui.cli import main

_LONGEST_WAIT_SECONDS = 90.0


class LiveServer:
    """The application behind a real socket; it can go away and come back at the same address."""

    def __init__(self, app: APIFlask) -> None:
        self.app = app
        self.port = 0
        self.asked: list[str] = []
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        return self.app(environ, start_response)


@dataclass(frozen=True)
class CommandLine:
    """`cadenza`, as a person types it."""

    url: str

    def run(self, *words: str, code: int = 0, answer: str | None = None) -> Result:
        """The outcome, which must have the exit `code`."""
        result = CliRunner().invoke(main, list(words), env={"CADENZA_URL": self.url}, input=answer)
        assert result.exit_code == code, f"{words}: {result.exit_code}\n{result.output}\n{result.exception!r}"
        assert "Traceback (most recent call last)" not in result.output
        return result


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are kept in a folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CADENZA_TOKEN", raising=False)


@pytest.fixture
def server(settings: Settings, sqlite_url: str) -> Iterator[LiveServer]:
    """The application on SQLite, listening."""
    app = create_app(settings.model_copy(update={"database_url": sqlite_url}))
    live = LiveServer(app)
    yield live
    live.stop()
    app.extensions["cadenza"].database.dispose()


@pytest.fixture
def cadenza(server: LiveServer) -> CommandLine:
    """The command line, pointed at `server`."""
    return CommandLine(server.url)


@pytest.fixture
def content(server: LiveServer) -> WebContent:
    """Fills the installation of `server`."""
    services = server.app.extensions["cadenza"]
    return WebContent(services.database, services.store)


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], Any]], threading.Thread]]:
    """Runs something beside the test, and fails the test if that fails."""
    failures: list[BaseException] = []
    threads: list[threading.Thread] = []

    def run(action: Callable[[], Any]) -> threading.Thread:
        def guarded() -> None:
            try:
                action()
            except BaseException as error:  # noqa: BLE001  # told to the test below
                failures.append(error)

        thread = threading.Thread(target=guarded)
        threads.append(thread)
        thread.start()
        return thread

    yield run
    for thread in threads:
        thread.join(_LONGEST_WAIT_SECONDS)
    if failures:
        raise failures[0]


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Waits for a condition, and gives its value."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, "this did not come about"
            time.sleep(0.02)

    return wait
