"""The whole system under its launcher: started, hurt, and ended without orphans."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from core.changes import redis_client
from core.errors import CadenzaError
from core.processes import lock_holder
from core.records.database import Database
from core.settings import Settings
from webui.launcher import system as launcher
from webui.launcher.parts import Part, parts_of, supervisor_config
from webui.launcher.system import running_system

pytestmark = pytest.mark.slow


@pytest.fixture
def light(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """An installation in a folder with an awkward name, without the two workers that load TensorFlow."""
    names = {"valkey", "web", "worker-light", "maintenance"}
    monkeypatch.setattr(launcher, "parts_of", lambda s: [part for part in parts_of(s) if part.name in names])
    return settings.model_copy(update={"data_dir": tmp_path / "100 % o'clock; #1"})


@pytest.fixture(autouse=True)
def no_orphans(tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """Every process that knows this test's folder; none may be left at the end."""

    def alive() -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                # Valkey writes its title over its environment.
                marks = [str(process.environ().get("CADENZA_DATA_DIR")), *process.cmdline()]
                if (
                    any(str(tmp_path) in mark for mark in marks)
                    and process.pid != os.getpid()
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found

    yield alive
    left = alive()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if " ".join(process.cmdline()) in left:
                process.kill()
    assert left == []


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.1)


def test_a_system_starts_heals_and_ends(light: Settings, no_orphans):
    with running_system(light) as system:
        assert system.address.startswith("http://127.0.0.1:")
        client = redis_client(light.resolved_broker_url)
        assert client.ping()
        assert light.valkey_socket.parent.stat().st_mode & 0o777 == 0o700

        with pytest.raises(
            CadenzaError, match=rf"already runs on the data .*\(process {os.getpid()}, {system.address}\)"
        ):
            _enter_in_another_process(light)

        before = system.status()
        address = system.address
        client.set("kept", "yes")
        time.sleep(1.1)  # what Valkey promises: at most the last second is lost
        for name in ("valkey", "web", "worker-light", "maintenance"):
            os.kill(before[name].pid, signal.SIGKILL)
        database = Database(light.resolved_database_url)
        until(lambda: {n for n, p in system.status().items() if p.pid and p.pid != before[n].pid} == set(before))
        until(lambda: system.missing(database) == [])
        database.dispose()
        assert system.address == address
        assert redis_client(light.resolved_broker_url).get("kept") == b"yes"
        client.close()
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert no_orphans() == []
    assert not (light.run_dir / "address").exists()


def test_kill_9_of_the_launcher_leaves_nothing(light: Settings, no_orphans):
    """`up` dies: the supervisor ends with it, and every part with the supervisor. The next start is not hindered."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from core.settings import Settings\n"
        "from webui.launcher import system\n"
        "parts = system.parts_of\n"
        "system.parts_of = lambda s: [p for p in parts(s) if p.name in {'valkey', 'maintenance'}]\n"
        "with system.running_system(Settings(data_dir=Path(sys.argv[1]), _env_file=None)):\n"
        "    print('up', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(light.data_dir)]
    up = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert up.stdout.readline() == b"up\n"
    assert lock_holder(light.run_dir / "up.lock") == up.pid
    assert len(no_orphans()) >= 3
    up.kill()
    up.wait()
    until(lambda: no_orphans() == [], 60)
    assert lock_holder(light.run_dir / "up.lock") is None
    up.stdin.close()
    up.stdout.close()


def test_what_a_killed_supervisor_left_is_ended_at_the_next_start(light: Settings, no_orphans, tmp_path: Path):
    """A part that outlived its supervisor, deaf to signals, is found by its lock."""
    light.run_dir.mkdir(parents=True)
    deaf = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from core.processes import take_lock\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "assert take_lock(Path(sys.argv[1])) is not None\n"
        "print('held', flush=True)\n"
        "time.sleep(600)\n"
    )
    orphan = subprocess.Popen(
        [sys.executable, "-c", deaf, str(light.run_dir / "parts" / "web.lock")],
        stdout=subprocess.PIPE,
        env={**os.environ, "CADENZA_DATA_DIR": str(light.data_dir)},
    )
    assert orphan.stdout.readline() == b"held\n"
    launcher.end_lock_holders(light.run_dir / "parts", 0.3)
    assert orphan.wait(60) == -signal.SIGKILL
    orphan.stdout.close()


def test_a_part_that_cannot_start_is_told_with_the_end_of_its_log(light: Settings, monkeypatch):
    broken = [Part("maintenance", [sys.executable, "-c", "raise SystemExit('no such luck')"])]
    monkeypatch.setattr(launcher, "parts_of", lambda _: broken)
    log = light.log_dir / "maintenance.log"

    def clock() -> float:
        """An hour has gone by as soon as the part has said why it ended, however long this machine takes."""
        return time.monotonic() + (3600 if log.exists() and "no such luck" in log.read_text() else 0)

    monkeypatch.setattr(launcher, "time", SimpleNamespace(monotonic=clock, sleep=time.sleep, time=time.time))
    with (
        pytest.raises(CadenzaError, match=r"not ready after 600 s: maintenance(.|\n)*no such luck"),
        running_system(light, 600),
    ):
        pass


def test_the_configuration_holds_no_path(light: Settings):
    config = supervisor_config(parts_of(light))
    assert str(light.data_dir) not in config
    assert sys.executable not in config


def test_no_embedded_broker_where_another_is_named(light: Settings):
    named = light.model_copy(update={"broker_url": "redis://elsewhere:6379/0"})
    assert "valkey" not in {part.name for part in parts_of(named)}
    assert "valkey" not in supervisor_config(parts_of(named))


def _enter_in_another_process(settings: Settings) -> None:
    """A lock of the POSIX kind never hinders its own process, so the second one is another."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from core.settings import Settings\n"
        "from core.errors import CadenzaError\n"
        "from webui.launcher.system import sole_system\n"
        "try:\n"
        "    with sole_system(Settings(data_dir=Path(sys.argv[1]), _env_file=None)):\n"
        "        pass\n"
        "except CadenzaError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(settings.data_dir)]
    refused = subprocess.run(command, capture_output=True, text=True, check=True)
    if refused.stdout:
        raise CadenzaError(refused.stdout)
