"""Accounts on the command line: people on the server's machine, tokens of a client."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from core.errors import CadenzaError
from core.people.accounts import get_person
from core.people.passwords import password_fits
from core.records.database import Database
from core.settings import Settings
from tests.tools.team import PASSWORD, Team
from webui.cli import main
from webui.cli.token_store import stored_token, token_file
from webui.launcher.web import serve


def on_the_server(url: str, *words: str, code: int = 0, answer: str | None = None) -> str:
    result = CliRunner().invoke(main, ["people", *words], env={"CADENZA_DATABASE_URL": url}, input=answer)
    assert result.exit_code == code, result.output
    return result.output


def test_people_are_added_and_changed_where_the_database_is(sqlite_url: str, settings: Settings) -> None:
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    assert "must be an administrator" in on_the_server(sqlite_url, "add", "mia", code=1, answer=typed)
    said = on_the_server(sqlite_url, "add", "ada", "--role", "administrator", answer=typed)
    assert "ada is an administrator here" in said
    assert "Accounts are on" in said
    assert PASSWORD not in said
    on_the_server(sqlite_url, "add", "mia", "--full-name", "Mia M.", "--password", PASSWORD)
    on_the_server(sqlite_url, "role", "mia", "viewer")
    on_the_server(sqlite_url, "disable", "mia")
    listed = on_the_server(sqlite_url, "list")
    assert "viewer" in listed
    assert "disabled" in listed
    assert "last administrator" in on_the_server(sqlite_url, "disable", "ada", code=1)
    on_the_server(sqlite_url, "enable", "mia")
    on_the_server(sqlite_url, "password", "mia", "--password", "eleven blue birds")
    database = Database(sqlite_url)
    with database.reading() as session:
        assert password_fits(get_person(session, "mia").password_hash, "eleven blue birds")
    database.dispose()


def test_without_accounts_the_server_listens_to_this_machine_alone(settings: Settings, sqlite_url: str) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.7", "cadenza.example.org"):
        with pytest.raises(CadenzaError, match=r"there are no accounts.*people add"):
            serve(settings.model_copy(update={"host": host, "database_url": sqlite_url}))


def test_a_token_is_kept_where_only_this_user_reads_it(cadenza: Any, server: Any) -> None:
    team = Team(server.app)
    team.turn_on()
    refused = cadenza.run("jobs", code=1)
    assert "cadenza sign-in" in refused.output
    assert "Sign in first" in cadenza.run("sign-in", "--stdin", code=1, answer="cadenza_wrong\n").output
    assert not token_file().exists()
    token = team.token("mia")
    said = cadenza.run("sign-in", "--stdin", answer=f"{token}\n")
    assert "mia (member)" in said.output
    assert token not in said.output
    assert stat.S_IMODE(token_file().stat().st_mode) == 0o600
    assert stored_token(server.url) == token
    assert "mia (member)" in cadenza.run("whoami").output
    cadenza.run("jobs")
    cadenza.run("sign-out")
    assert stored_token(server.url) == ""
    cadenza.run("jobs", code=1)


def test_a_token_of_the_environment_goes_first(cadenza: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    team = Team(server.app)
    team.turn_on()
    monkeypatch.setenv("CADENZA_TOKEN", team.token("max", "read"))
    assert "max (member)" in cadenza.run("whoami").output
    assert "for reading only" in cadenza.run("import", "starter", code=1).output
    monkeypatch.setenv("CADENZA_TOKEN", "two words")
    assert "no token" in cadenza.run("whoami", code=1).output


def test_a_damaged_token_file_is_no_token(own_config: None) -> None:
    token_file().parent.mkdir(parents=True)
    token_file().write_text("{")
    assert stored_token("http://127.0.0.1:1") == ""
    assert Path(os.environ["XDG_CONFIG_HOME"]) in token_file().parents
