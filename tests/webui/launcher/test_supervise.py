"""The supervisor goes on when there is no room for its logs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from webui.launcher.supervise import survive_a_full_disk
survive_a_full_disk()
from supervisor import loggers
logger = loggers.getLogger()
loggers.handle_file(logger, "part.log", "%(message)s", rotating=True, maxbytes=100, backups=1)
for number in range(50):
    if number == 20:
        (handler,) = logger.handlers
        kept, handler.stream = handler.stream, open("/dev/full", "ab", buffering=0)
        rotate, handler.doRollover = handler.doRollover, lambda: handler.stream.close() or open("/dev/full/no", "wb")
    if number == 40:
        handler.doRollover = rotate
    logger.info("line %d of a part\\n" % number)
print("alive")
"""


def test_logging_without_room_ends_nothing(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device here that is always full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM], cwd=tmp_path, stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert (done.returncode, done.stdout) == (0, b"alive\n")
    assert "line 49" in (tmp_path / "part.log").read_text() + (tmp_path / "part.log.1").read_text()
