"""The command line starts at once, and finds the server or says how to start it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from webui.cli import main

_HEAVY = ("tensorflow", "keras", "numpy", "sqlalchemy", "flask", "httpx", "rich", "pydantic", "celery")


@pytest.mark.parametrize("words", [["--help"], ["generate", "--help"], ["jobs", "--help"], ["models", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom webui.cli import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        f"print([name for name in {_HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_a_client_command_never_loads_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom webui.cli import main\n"
        "result = CliRunner().invoke(main, ['generate', '--model', '1', '--instrument', 'cello'])\n"
        "assert result.exit_code == 1, result.output\n"
        "print([name for name in ('tensorflow', 'keras', 'flask', 'sqlalchemy') if name in sys.modules])"
    )
    environment = {"PATH": "/usr/bin:/bin", "CADENZA_DATA_DIR": str(tmp_path)}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_nothing_runs_on_this_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CADENZA_URL", raising=False)
    monkeypatch.setenv("CADENZA_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(main, ["status"])
    assert result.exit_code == 1
    assert str(tmp_path) in result.stderr
    assert "cadenza up" in result.stderr
    assert "make run" in result.stderr


def test_the_address_of_the_running_system_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: object
) -> None:
    monkeypatch.delenv("CADENZA_URL", raising=False)
    monkeypatch.setenv("CADENZA_DATA_DIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "address").write_text(f"{server.url}\n")  # type: ignore[attr-defined]  # a fixture's class
    result = CliRunner().invoke(main, ["status"])
    assert result.exit_code == 0
    assert "Cadenza" in result.stdout


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "127.0.0.1:{port}"])
def test_a_server_that_is_not_there(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = CliRunner().invoke(main, ["status", "--url", address.format(port=port)])
    assert result.exit_code == 1
    assert f"not running at http://127.0.0.1:{port}" in result.stderr


@pytest.mark.parametrize("address", ["ftp://x", "http://", "http://x:99999999", "::"])
def test_an_address_that_is_none(address: str) -> None:
    result = CliRunner().invoke(main, ["status", "--url", address])
    assert result.exit_code == 1
    assert "no address of a server" in result.stderr
