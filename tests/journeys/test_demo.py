"""The one command of the README: the demo from nothing, once more, and what Ctrl-C leaves behind."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pretty_midi
import pytest

from tests.tools.journey import marked_processes, until

pytestmark = pytest.mark.slow

# What the README promises on two cores with nothing else running; the test itself only gives up later.
_FIRST_SECONDS, _AGAIN_SECONDS = 300, 60
_PATIENCE = 4


@dataclass(frozen=True)
class Cadenza:
    """Starts the command line on a data folder of its own, in a session of its own, as a terminal does."""

    data_dir: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A process whose output can be read."""
        environment = {key: text for key, text in os.environ.items() if not key.startswith("CADENZA_")}
        environment |= {"CADENZA_DATA_DIR": str(self.data_dir), "CADENZA_PORT": "0", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "webui.cli", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, text=True, start_new_session=True, stdout=pipe, stderr=pipe)

    def left_running(self) -> list[str]:
        """Command lines of the processes of this data folder."""
        return [" ".join(process.cmdline()) for process in marked_processes(self.data_dir)]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Cadenza]:
    """An installation with nothing in it; what a failed test leaves running is ended."""
    made = Cadenza(tmp_path / "data")
    yield made
    for process in marked_processes(made.data_dir):
        process.kill()


@pytest.fixture
def demo(fresh: Cadenza) -> Callable[[float], tuple[str, str, float]]:
    """Runs `cadenza demo --exit`; what it printed on stdout and stderr, and the seconds that it took."""

    def run(patience_seconds: float) -> tuple[str, str, float]:
        began = time.monotonic()
        process = fresh.start("demo", "--exit")
        printed, said = process.communicate(timeout=patience_seconds)
        assert process.returncode == 0, said
        assert fresh.left_running() == []
        return printed, said, time.monotonic() - began

    return run


@pytest.mark.timeout(_PATIENCE * (_FIRST_SECONDS + _AGAIN_SECONDS))
def test_the_demo_twice(demo: Callable[[float], tuple[str, str, float]], fresh: Cadenza):
    printed, said, seconds = demo(_PATIENCE * _FIRST_SECONDS)
    loss, files = read_results(printed)
    assert 0.5 < loss < 3.0
    assert "Importing" in said
    assert "Training" in said
    music = [path.read_bytes() for path in files]
    assert len(set(music)) == 8
    for path in files:
        assert fresh.data_dir in path.parents
        assert sum(len(instrument.notes) for instrument in pretty_midi.PrettyMIDI(str(path)).instruments) > 50

    printed_again, said_again, seconds_again = demo(_PATIENCE * _AGAIN_SECONDS)
    loss_again, files_again = read_results(printed_again)
    assert loss_again == loss
    assert set(files_again).isdisjoint(files)
    assert [path.read_bytes() for path in files_again] == music
    assert "Importing" not in said_again
    assert "Training" not in said_again
    print(f"demo: {seconds:.0f} s, again: {seconds_again:.0f} s, held-out loss: {loss:.4f}")


def test_ctrl_c_while_the_parts_load(fresh: Cadenza):
    up = fresh.start("up")
    told = lines_until(up, "Cadenza is at http://127.0.0.1:", 120)
    assert not any("All parts are ready" in line for line in told), "too late: the parts have loaded"
    until(lambda: len(fresh.left_running()) >= 8, 60, "all processes")
    # As the terminal does it: to the whole group of processes in front.
    os.killpg(up.pid, signal.SIGINT)
    asked = time.monotonic()
    printed, said = up.communicate(timeout=30)
    seconds = time.monotonic() - asked
    print(f"ended {seconds:.1f} s after Ctrl-C")
    assert seconds <= 10
    assert up.returncode == 0, said
    assert "Traceback" not in said
    assert printed.splitlines()[-1] == "Stopped."
    until(lambda: fresh.left_running() == [], 5, "no process left")


def read_results(printed: str) -> tuple[float, list[Path]]:
    """Held-out loss and files, from exactly the lines that are promised."""
    address, loss, *files = printed.splitlines()
    assert re.fullmatch(r"dashboard: http://127\.0\.0\.1:\d+", address)
    told = re.fullmatch(r"held-out loss: (\d\.\d{4}) nats per event", loss)
    assert told, loss
    paths = [Path(line) for line in files]
    assert len(paths) == 8
    assert all(path.is_absolute() and path.is_file() for path in paths)
    return float(told[1]), paths


def lines_until(process: subprocess.Popen[str], words: str, seconds: float) -> list[str]:
    """Lines of a process's output up to one with these words."""
    assert process.stdout is not None
    lines: list[str] = []
    deadline = time.monotonic() + seconds
    while not (lines and words in lines[-1]):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"not within {seconds:g} s: {words!r}; told was {lines}"
        line = process.stdout.readline()
        assert line, f"it ended: {process.stderr.read() if process.stderr else ''}"
        lines.append(line.rstrip())
    return lines
