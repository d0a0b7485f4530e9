"""How the parts of a running system stand, as their supervisor and their web server tell."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class PartStatus:
    """How a part stands, in supervisor's words ("RUNNING", "STARTING", "BACKOFF", ...); process 0 when none runs."""

    state: str
    pid: int


def part_statuses(socket: Path) -> dict[str, PartStatus]:
    """How each part of the supervisor at `socket` stands; empty while it starts."""
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{socket}")
    proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
    try:
        infos: Any = proxy.supervisor.getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return {}
    finally:
        transport.close()
    return {info["name"]: PartStatus(info["statename"], info["pid"]) for info in infos}


def answers(address: str) -> bool:
    """Whether a web server at `address` answers with anything but an error of its own; not where there is none."""
    if not address:
        return False
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, http.client.HTTPException):
        return False
