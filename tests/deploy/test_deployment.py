"""What can be known of the deployment's files without an engine that runs them.

They are read by a parser of the Compose specification and held against Kubernetes' own schemas; no package has KEDA's,
so the parts that matter of its objects are checked here. Everything that they start exists and starts as written.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml
from apiflask import APIFlask
from compose_spec import PyCompose
from sqlalchemy import select

from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.records import schema
from core.records.database import Database
from core.settings import Settings
from webui.app import create_app
from webui.cli import main

ROOT = Path(__file__).resolve().parents[2]
# They carry data, and start no code of ours.
_OTHERS = {"postgres", "valkey", "store", "flower", "prometheus"}
_ONCE = {"setup"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def cluster() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))


def test_the_compose_file_fits_the_specification(services: dict[str, Any]) -> None:
    # Anchors and merges are YAML's, and variables are put in before anything else is read.
    resolved = _filled_in(yaml.safe_dump(yaml.safe_load((ROOT / "docker-compose.yml").read_text()), width=10_000))
    parsed = PyCompose.from_yaml(resolved)
    assert set(parsed.service_names()) == set(services)
    with pytest.raises(Exception, match="nonsense"):
        PyCompose.from_yaml(resolved.replace("restart:", "nonsense:", 1))


def _filled_in(text: str) -> str:
    """`${NAME:-default}` as its default, `${NAME:?why}` as a value that a person has set."""
    return re.sub(r"\$\{\w+:([-?])([^}]*)\}", lambda found: found[2] if found[1] == "-" else "a-secret", text)


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_every_queue_is_consumed(services: dict[str, Any], profile: str) -> None:
    started = {name: service for name, service in services.items() if profile in service.get("profiles", [profile])}
    served = {
        word
        for service in started.values()
        if service.get("command", [])[:2] == ["cadenza", "worker"]
        for before, word in zip(service["command"], service["command"][1:], strict=False)
        if before == "--queue"
    }
    assert served == {queue.value for queue in Queue}
    devices = [
        service["deploy"]["resources"]["reservations"]["devices"] for service in started.values() if "deploy" in service
    ]
    assert bool(devices) == (profile == "gpu")
    assert all(device["capabilities"] == ["gpu"] for each in devices for device in each)
    assert {"web", "maintenance", "postgres", "valkey", "store"} <= set(started)


def test_every_setting_exists(services: dict[str, Any], cluster: list[dict[str, Any]]) -> None:
    known = {f"CADENZA_{name.upper()}" for name in Settings.model_fields}
    set_in_compose = {
        name for service in services.values() for name in service.get("environment", {}) if name.startswith("CADENZA_")
    }
    text = (ROOT / "deploy" / "kubernetes.yaml").read_text() + (ROOT / "Dockerfile").read_text()
    assert set_in_compose
    assert set_in_compose | set(re.findall(r"CADENZA_[A-Z_]+", text)) <= known


def test_services_are_watched_restarted_and_keep_their_data(compose: dict[str, Any], services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name in _ONCE:
            assert service["restart"].startswith("on-failure")
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
    named = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert named == set(compose["volumes"])
    waited = {other for service in services.values() for other in service.get("depends_on", {})}
    assert waited <= set(services)
    for service in services.values():
        for other, rule in service.get("depends_on", {}).items():
            assert rule["condition"] == ("service_completed_successfully" if other in _ONCE else "service_healthy")


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "S3_SECRET", "CADENZA_METRICS_TOKEN"):
        uses = re.findall(r"\$\{" + name + r"([^}]*)\}", text)
        assert uses
        assert set(uses) == {":?set it in .env"}, name


def test_images_are_built_from_targets_that_exist(services: dict[str, Any]) -> None:
    text = (ROOT / "Dockerfile").read_text()
    targets = re.findall(r"^FROM \S+ AS (\w+)$", text, flags=re.MULTILINE)
    assert targets == ["source", "base", "web", "cpu", "gpu"]
    built = {service["image"]: service["build"]["target"] for service in services.values() if "build" in service}
    ours = {service["image"] for name, service in services.items() if name not in _OTHERS}
    assert ours == set(built) == {f"cadenza-{target}" for target in targets[2:]}
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, flags=re.MULTILINE) for word in line.split()
    }
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    # Every image gets the code, and installs it.
    installed = re.findall(r"^COPY --from=source / \./\nRUN pip install .+ \.$", text, flags=re.MULTILINE)
    assert len(installed) == len(targets[2:])
    assert all((ROOT / name).exists() for name in copied | set(re.findall(r"requirements/\w+\.txt", text)))


def test_commands_are_understood(services: dict[str, Any], cluster: list[dict[str, Any]]) -> None:
    commands = [service["command"] for name, service in services.items() if name not in _OTHERS | _ONCE]
    commands += [
        container["command"]
        for each in cluster
        if "template" in each.get("spec", {})
        for container in each["spec"]["template"]["spec"]["containers"]
    ]
    commands += [
        json.loads(words) for words in re.findall(r"^CMD (\[.+\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    ]
    assert len(commands) > 12
    for words in commands:
        _check_command(words)
    for service in services.values():
        test = service.get("healthcheck", {}).get("test", [])
        if test[1:3] == ["python", "-m"]:
            assert find_spec(test[3]) is not None
    script = services["setup"]["command"]
    assert script[:2] == ["sh", "-c"]
    _check_command(shlex.split(script[2].rpartition("&& ")[2]))


def _check_command(words: list[str]) -> None:
    assert words[0] == "cadenza", words
    command: click.Command | None = main
    arguments = words[1:]
    context = click.Context(main)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        command = command.get_command(context, arguments.pop(0))
    assert command is not None, words
    with command.make_context("cadenza", arguments):
        pass


def test_kubernetes_objects_fit_their_schemas(cluster: list[dict[str, Any]]) -> None:
    for each in cluster:
        if not each["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(each, "1.34", strict=True)


@pytest.fixture
def app(settings: Settings, sqlite_url: str) -> Iterator[APIFlask]:
    made = create_app(settings.model_copy(update={"database_url": sqlite_url}))
    yield made
    made.extensions["cadenza"].database.dispose()


def test_keda_scales_what_exists_on_figures_that_are_served(cluster: list[dict[str, Any]], app: APIFlask) -> None:
    served = app.test_client().get("/metrics", headers={"Host": "127.0.0.1"}).text
    deployments = {each["metadata"]["name"]: each for each in cluster if each["kind"] == "Deployment"}
    scaled = [each for each in cluster if each["kind"] == "ScaledObject"]
    assert {each["spec"]["scaleTargetRef"]["name"] for each in scaled} == {f"cadenza-{queue.value}" for queue in Queue}
    (secret,) = [each for each in cluster if each["kind"] == "TriggerAuthentication"]
    for each in scaled:
        target = deployments[each["spec"]["scaleTargetRef"]["name"]]
        (container,) = target["spec"]["template"]["spec"]["containers"]
        queue = container["command"][container["command"].index("--queue") + 1]
        assert "replicas" not in target["spec"]
        for trigger in each["spec"]["triggers"]:
            asked = trigger["metadata"]
            assert trigger["type"] == "metrics-api"
            assert re.fullmatch(
                r'cadenza_units\{queue="' + queue + r'",state="(?:waiting|running)"\}', asked["valueLocation"]
            )
            assert f"\n{asked['valueLocation']} " in served
            assert (asked["format"], asked["authMode"]) == ("prometheus", "bearer")
            assert trigger["authenticationRef"]["name"] == secret["metadata"]["name"]
        names = {trigger.get("name") for trigger in each["spec"]["triggers"]} - {None}
        formula = each["spec"].get("advanced", {}).get("scalingModifiers", {}).get("formula", "")
        assert names == set(re.findall(r"[a-z]+", formula))
    assert secret["spec"]["secretTargetRef"][0]["parameter"] == "token"


def test_prometheus_asks_where_the_figures_are(services: dict[str, Any]) -> None:
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    host, _, port = job["static_configs"][0]["targets"][0].partition(":")
    assert services[host]["environment"]["CADENZA_PORT"] == port
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{services['prometheus']['secrets'][0]}"


@pytest.mark.slow
def test_entry_points_start_as_written(
    services: dict[str, Any], settings: Settings, postgres_url: str, valkey_url: str, s3_server: str, s3_url: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Bucket and tables are made, then the parts run with the commands of the file and its environment."""
    here = {
        "CADENZA_DATABASE_URL": postgres_url,
        "CADENZA_BROKER_URL": valkey_url,
        "AWS_ENDPOINT_URL": s3_server,
        "CADENZA_HOST": "127.0.0.1",
        "CADENZA_PORT": "0",
        "CADENZA_METRICS_TOKEN": "token",
        "AWS_SECRET_ACCESS_KEY": "of tests",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def start(name: str) -> subprocess.Popen[bytes]:
        said = {key: _filled_in(str(value)) for key, value in services[name].get("environment", {}).items()}
        environment = {**os.environ, **said, **here, "CADENZA_DATA_DIR": str(tmp_path / name)}
        with (tmp_path / f"{name}.log").open("wb") as log:
            return subprocess.Popen(services[name]["command"], env=environment, stdout=log, stderr=log)

    database = Database(postgres_url)
    for _ in range(2):  # it runs at every start
        assert start("setup").wait(150) == 0, (tmp_path / "setup.log").read_text()
    assert schema.current(database) == schema.newest()
    running = [start(name) for name in ("web", "maintenance", "worker-light")]
    try:
        _until(lambda: _worker_is_ready(database))
        address = tmp_path / "web" / "run" / "address"
        _until(address.exists)
        check = services["web"]["healthcheck"]["test"][1:]
        check[-1] = check[-1].replace("http://127.0.0.1:8420", address.read_text())
        _until(lambda: subprocess.run([sys.executable, *check[1:]], capture_output=True, check=False).returncode == 0)
        for name, words in (("worker-light", []), ("maintenance", ["--reach"])):
            assert services[name]["healthcheck"]["test"][1:] == ["python", "-m", "worker.health", *words]
            environment = {**os.environ, **here, "CADENZA_LOST_AFTER_SECONDS": "12"}
            done = subprocess.run([sys.executable, "-m", "worker.health", *words], env=environment, check=False)
            assert done.returncode == 0
        assert all(process.poll() is None for process in running)
    except BaseException:
        for log in sorted(tmp_path.glob("*.log")):
            sys.stdout.write(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}\n")
        raise
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(30) for process in running] == [0, 0, 0]
    silent = subprocess.run([sys.executable, "-m", "worker.health"], env={**os.environ, **here}, check=False)
    assert silent.returncode == 1
    database.dispose()


def _worker_is_ready(database: Database) -> bool:
    with database.reading() as session:
        return session.scalar(select(Worker.state)) is WorkerState.READY


def _until(condition: Callable[[], object], seconds: float = 150.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.1)
