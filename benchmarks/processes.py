"""A side of a comparison in a process of its own: it loads once, then runs each time it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.harness import Sample, Side

_MARK = "sample "


@contextmanager
def peer_process(name: str, *numbers: int) -> Iterator[Side]:
    """A peer of `benchmarks.peers`, as a side that times itself.

    Raises:
        RuntimeError: (by the side) the process ended; it has said why on its standard error.
    """
    command = [sys.executable, "-m", "benchmarks.peers", name, *map(str, numbers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told, said = process.stdin, process.stdout

        def side() -> Sample:
            told.write("run\n")
            told.flush()
            for line in said:
                if line.startswith(_MARK):
                    return Sample(**json.loads(line.removeprefix(_MARK)))
            raise RuntimeError(f"the peer {name!r} ended with status {process.wait()}")

        try:
            yield side
        finally:
            told.close()


def serve(side: Side) -> None:
    """Run `side` for each line on standard input and say what it did, until the input ends."""
    for _ in sys.stdin:
        started = time.perf_counter()
        result = side()
        seconds = time.perf_counter() - started
        sample = result if isinstance(result, Sample) else Sample(result, seconds)
        print(_MARK + json.dumps({"work": sample.work, "seconds": sample.seconds}), flush=True)
