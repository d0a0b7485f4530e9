"""Workers on the GPUs of a machine, one for each or one for all: started, started again when one dies, ended."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from core.errors import CadenzaError
from core.logs import configure_logging
from core.machine import find_gpus
from core.models.jobs import Queue
from core.settings import Settings

_LOOK_SECONDS = 0.5
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# One that lived this long had not failed to start.
_HEALTHY_SECONDS = 120.0
_STOP_SECONDS = 10.0
_logger = logging.getLogger(__name__)


def chosen_gpus(choice: str) -> list[tuple[str, str]]:
    """What `--gpus` means: for each GPU the end of its worker's name, and its `CUDA_VISIBLE_DEVICES`.

    Args:
        choice: "auto" for all that the driver knows, or their numbers, such as "0,2".

    Raises:
        CadenzaError: there is none, or the choice is neither.
    """
    if choice == "auto":
        # By an id that never changes: the driver's order may be another than CUDA's.
        found = [(f"gpu{gpu.index}", gpu.uuid) for gpu in find_gpus()]
        if not found:
            raise CadenzaError(
                "--gpus auto finds no NVIDIA GPU here. Install the driver and requirements/gpu.txt, name them "
                "(--gpus 0,1), or leave --gpus out to use the processor."
            )
        return found
    numbers = [word.strip() for word in choice.split(",")]
    if not all(number.isdigit() for number in numbers) or len(set(numbers)) < len(numbers):
        raise CadenzaError(f"--gpus {choice!r} is refused; write 'auto', or different numbers of GPUs such as 0,2.")
    return [(f"gpu{number}", number) for number in numbers]


def together(gpus: Sequence[tuple[str, str]], queues: Sequence[Queue]) -> list[tuple[str, str]]:
    """The same GPUs for one worker, whose trainings then use all of them.

    Args:
        gpus: as `chosen_gpus` gives them.
        queues: what the worker is to serve.

    Raises:
        CadenzaError: another queue than that of trainings is among them, whose work uses one GPU.
    """
    if others := [queue.value for queue in queues if queue is not Queue.TRAINING]:
        raise CadenzaError(
            f"--together is refused for the queue {', '.join(others)}: only trainings use several GPUs at once. "
            "Start a worker with --queue training --together, and another for the rest."
        )
    return [("gpus", ",".join(device for _, device in gpus))]


def serve_on_gpus(
    settings: Settings, name: str, queues: Sequence[Queue], gpus: Sequence[tuple[str, str]], program: Sequence[str]
) -> int:
    """Keep a worker for each of `gpus` running until a signal says otherwise; the exit status.

    Args:
        settings: for the log.
        name: beginning of the workers' names.
        queues: what they serve.
        gpus: as `chosen_gpus` or `together` gives them.
        program: the words that start a worker, such as python and its module.
    """
    configure_logging(settings, f"workers {name}")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    served = [word for queue in queues for word in ("--queue", queue.value)]
    workers = [
        _Kept([*program, *served, "--name", f"{name}-{ending}", "--gpu", device, "--with-parent"])
        for ending, device in gpus
    ]
    while not ended.wait(_LOOK_SECONDS):
        for worker in workers:
            worker.look()
    for worker in workers:
        worker.ask_to_end()
    deadline = time.monotonic() + _STOP_SECONDS
    for worker in workers:
        worker.end(max(deadline - time.monotonic(), 0.1))
    return 0


class _Kept:
    """A process that is started again whenever it ends, after a pause that grows while it does not live long."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._pause = _FIRST_PAUSE_SECONDS
        self._start_at: float | None = None
        self._start()

    def look(self) -> None:
        """Start it again if it has ended and its pause is over."""
        status = self._process.poll()
        if status is None:
            return
        now = time.monotonic()
        if self._start_at is None:
            if now - self._began > _HEALTHY_SECONDS:
                self._pause = _FIRST_PAUSE_SECONDS
            _logger.warning("%s ended with %d; it is started again", self._command[-4], status)
            self._start_at = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        elif now >= self._start_at:
            self._start()

    def ask_to_end(self) -> None:
        """Send SIGTERM: it finishes in order."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def end(self, seconds: float) -> None:
        """Wait for its end, and make it after `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._began = time.monotonic()
        self._start_at = None
        # A group of its own: Ctrl-C reaches this process alone, which tells the others.
        self._process = subprocess.Popen(self._command, start_new_session=True)  # noqa: S603  # our own program
