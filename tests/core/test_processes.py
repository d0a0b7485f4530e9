"""Locks that name their holder, and children that end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from core.processes import end_lock_holders, lock_holder, take_lock

_HOLD = (
    "import os, sys\nfrom pathlib import Path\nfrom core.processes import take_lock\n"
    "assert take_lock(Path(sys.argv[1])) is not None\n"
    "print('held', flush=True)\n"
    "os.execvp('sleep', ['sleep', '600'])\n"
)


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout.readline()
    return process


def test_a_lock_names_its_holder_and_outlives_exec_but_not_the_process(tmp_path: Path):
    path = tmp_path / "locks" / "a.lock"
    assert lock_holder(path) is None
    path.parent.mkdir()
    holder = start(_HOLD, path)
    assert lock_holder(path) == holder.pid
    assert take_lock(path) is None
    holder.kill()
    holder.communicate()
    assert lock_holder(path) is None
    mine = take_lock(path)
    assert mine is not None
    os.close(mine)


def test_holders_are_ended_gently_first(tmp_path: Path):
    gentle = start(_HOLD, tmp_path / "gentle.lock")
    deaf = start("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + _HOLD, tmp_path / "deaf.lock")
    assert sorted(end_lock_holders(tmp_path, 2.0)) == ["deaf.lock", "gentle.lock"]
    for process in (gentle, deaf):
        process.communicate()
    assert (gentle.returncode, deaf.returncode) == (-signal.SIGTERM, -signal.SIGKILL)
    assert end_lock_holders(tmp_path, 0.5) == []


def test_a_child_ends_with_its_parent_however_it_ends():
    child = (
        "import time\nfrom core.processes import end_with_parent\n"
        "end_with_parent()\nprint('up', flush=True)\ntime.sleep(600)\n"
    )
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while _is_alive(pid):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and ") Z " in stat.read_text())
