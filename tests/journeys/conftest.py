"""One whole system for all journeys, a real browser in front of it, and what several journeys need."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from core.settings import Settings
from tests.tools.browser import BROWSER_OPTIONS, Watch
from tests.tools.install_browser import find_browser
from tests.tools.journey import TRAINING, Api, CommandLine, marked_processes, until, write_pieces
from webui.launcher.system import System, running_system

# From the first point of a training's curve to its last: long enough to be held, paused and killed in between.
_LONG_ENOUGH_SECONDS = 2.0

# How long a page may take to show what is expected, on a slow machine that is busy otherwise.
_PATIENCE_MS = 30_000

_SHARED = pytest.StashKey[ExitStack]()
_LAST = pytest.StashKey[str]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The musician comes first, to a dashboard that is still empty; the demo, a system of its own, comes last."""
    order = {"test_musician": 0, "test_demo": 9}
    places = [place for place, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ours = sorted((items[place] for place in places), key=lambda item: order.get(item.path.stem, 1))
    for place, item in zip(places, ours, strict=True):
        items[place] = item
    config.stash[_LAST] = next((item.nodeid for item in reversed(ours) if "shared" in _fixtures(item)), "")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """After the last journey that needs them, system and browser end: the rest of the session has the machine."""
    if item.nodeid == item.config.stash[_LAST] and _SHARED in item.config.stash:
        item.config.stash[_SHARED].close()


def _fixtures(item: pytest.Item) -> list[str]:
    names: list[str] = getattr(item, "fixturenames", [])
    return names


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Iterator[ExitStack]:
    """What all journeys use, to be ended with the last of them."""
    with ExitStack() as stack:
        pytestconfig.stash[_SHARED] = stack
        yield stack


@pytest.fixture(scope="session")
def settings_of_journeys(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation of its own that writes resume points often and accepts only small uploads."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("CADENZA_"):
                patch.delenv(name)
        return Settings(
            data_dir=tmp_path_factory.mktemp("journeys") / "data",
            port=0,
            resume_point_seconds=1.0,
            beat_seconds=0.5,
            lost_after_seconds=8.0,
            upload_limit_bytes=2 * 2**20,
            _env_file=None,
        )


@pytest.fixture(scope="session")
def system(shared: ExitStack, settings_of_journeys: Settings) -> System:
    """Valkey, web server, three workers and maintenance; at the end they are gone within 10 s."""
    return shared.enter_context(_whole_system(settings_of_journeys))


@contextmanager
def _whole_system(settings: Settings) -> Iterator[System]:
    with running_system(settings, ready_seconds=400) as running:
        yield running
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert marked_processes(settings.data_dir) == []


@pytest.fixture(scope="session")
def api(system: System) -> Iterator[Api]:
    """The system's API."""
    api = Api.at(system.address)
    yield api
    api.http.close()


@pytest.fixture
def quiet(api: Api) -> None:
    """Nothing waits or runs of what other journeys began; what a journey left paused as it failed is given up."""
    for job in api.items("/jobs", state="active"):
        if job["paused"]:
            api.send("POST", f"/jobs/{job['id']}/cancel")
    until(lambda: not api.items("/jobs", state="active"), 300, "the end of what other journeys began")


@pytest.fixture(scope="session")
def cadenza(system: System) -> CommandLine:
    """The command line in front of the system."""
    return CommandLine(system.address)


@pytest.fixture(scope="session")
def browser(shared: ExitStack) -> Browser:
    """A Chromium without a window."""
    path = find_browser()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no Chromium here; python -m tests.tools.install_browser installs one")
        pytest.skip("there is no Chromium here: this journey was not made")
    expect.set_options(timeout=_PATIENCE_MS)
    playwright = shared.enter_context(sync_playwright())
    try:
        return shared.enter_context(playwright.chromium.launch(executable_path=path, args=BROWSER_OPTIONS))
    except Error as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the Chromium here cannot be started: {error}")


@pytest.fixture
def watch(system: System) -> Watch:
    """What this test's pages ask for and complain about."""
    return Watch(urlsplit(system.address).netloc)


@pytest.fixture
def context(browser: Browser, system: System, watch: Watch) -> Iterator[BrowserContext]:
    """A person's browser, with nothing remembered; it must have behaved at the end."""
    options: dict[str, Any] = {"base_url": system.address, "viewport": {"width": 1280, "height": 900}}
    with browser.new_context(**options, color_scheme="light", locale="en-GB") as context:
        context.set_default_timeout(_PATIENCE_MS)
        watch.follow(context)
        yield context
    watch.check()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """One tab."""
    return context.new_page()


@pytest.fixture(scope="session")
def dataset(cadenza: CommandLine, api: Api, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A dataset, imported by the command line from a folder."""
    folder = tmp_path_factory.mktemp("etudes")
    write_pieces(folder, 30, first_seed=500)
    cadenza.ok("import", str(folder), "--name", "Etudes", "--wait")
    found: dict[str, Any] = api.get("/datasets", reference="Etudes")["items"][0]
    return found


@pytest.fixture(scope="session")
def model(cadenza: CommandLine, api: Api, dataset: dict[str, Any]) -> dict[str, Any]:
    """A small `lstm`, trained by the command line without any disturbance; it takes seconds on any machine.

    Nothing measures it behind the tests' backs: an evaluation would be one more job that uses it.
    """
    steps = TRAINING["steps"]
    while True:
        chosen = [word for name, value in {**TRAINING, "steps": steps}.items() for word in ("--set", f"{name}={value}")]
        words = ("train", "--dataset", "Etudes", *chosen, "--name", "Undisturbed", "--no-evaluation", "--wait")
        cadenza.ok(*words)
        found: dict[str, Any] = api.get("/models", reference="Undisturbed")["items"][0]
        trained = next(each["id"] for each in api.items("/trainings") if each["model_id"] == found["id"])
        points = api.get(f"/trainings/{trained}/points")["items"]
        first, last = (datetime.fromisoformat(point["at"]) for point in (points[0], points[-1]))
        if (last - first).total_seconds() >= _LONG_ENOUGH_SECONDS:
            return found
        api.send("DELETE", f"/models/{found['id']}")
        steps *= 3


@pytest.fixture(scope="session")
def generation(api: Api, model: dict[str, Any]) -> dict[str, Any]:
    """Eight takes by that model."""
    made = api.generate(model["id"], "0-7", length=100)
    api.succeeded(made["job"]["id"])
    found: dict[str, Any] = api.get(f"/generations/{made['id']}")
    return found


@pytest.fixture
def train_again(api: Api, dataset: dict[str, Any], model: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """Submits the same training once more, under another name, perhaps with other settings."""

    def submit(name: str, **others: int) -> dict[str, Any]:
        settings = {**model["settings"], **others}
        values = {"dataset": dataset["id"], "family": "lstm", "settings": settings, "name": name, "evaluate": False}
        made: dict[str, Any] = api.send("POST", "/trainings", values)
        return made

    return submit


@pytest.fixture
def check_same_model(api: Api) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Compares a training's outcome with an undisturbed model, bit for bit."""

    def check(training: dict[str, Any], undisturbed: dict[str, Any]) -> None:
        ended = api.get(f"/trainings/{training['id']}")
        model = api.get(f"/models/{ended['model_id']}")
        assert ended["step"] == ended["settings"]["steps"]
        assert model["id"] != undisturbed["id"]
        assert model["content_hash"] == undisturbed["content_hash"]
        assert model["figures"] == undisturbed["figures"]
        last = [api.file(f"/models/{each['id']}/checkpoint", which="last") for each in (model, undisturbed)]
        assert last[0] == last[1]

    return check
