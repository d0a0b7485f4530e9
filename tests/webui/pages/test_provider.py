"""Signing in through a real OpenID provider, which runs as a process of its own and sometimes lies."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import select

from core.models.people import Person
from core.settings import Settings
from tests.tools.openid_provider import CLIENT_ID, CLIENT_SECRET
from tests.tools.team import Team
from webui.app import create_app


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The provider's address."""
    port_file = tmp_path_factory.mktemp("provider") / "port"
    process = subprocess.Popen([sys.executable, "-m", "tests.tools.openid_provider", str(port_file)], stderr=-3)
    deadline = time.monotonic() + 120
    while not port_file.exists():
        assert process.poll() is None, "the provider ended"
        assert time.monotonic() < deadline, "the provider did not start"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{json.loads(port_file.read_text())}"
    process.terminate()
    process.wait()


@pytest.fixture
def team(provider: str, settings: Settings, sqlite_url: str) -> Iterator[Team]:
    """A team that may also sign in through the provider."""
    values = {
        "database_url": sqlite_url,
        "oidc_issuer": provider,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(CLIENT_SECRET),
    }
    app = create_app(settings.model_copy(update=values))
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    team = Team(app)
    team.turn_on()
    yield team
    team.services.database.dispose()


def choose(provider: str, **claims: str) -> None:
    httpx.get(f"{provider}/choose", params=claims, trust_env=False).raise_for_status()


def go_round(client: FlaskClient, wanted: str = "/") -> str:
    """To the provider and back, as a browser goes; the path and query with which it comes back."""
    sent = client.get("/sign-in/provider", query_string={"next": wanted})
    assert sent.status_code == 302, sent.text[-400:]
    asked = parse_qs(urlsplit(sent.location).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid profile email"]
    assert len(asked["nonce"][0]) > 15
    back = urlsplit(httpx.get(sent.location, trust_env=False).headers["Location"])
    return f"{back.path}?{back.query}"


def test_a_newcomer_gets_an_account_of_the_chosen_role(team: Team, provider: str) -> None:
    choose(provider, sub="42", name="Kim K.", preferred_username="Kim.K", email="kim@example.org")
    client = team.app.test_client()
    assert "Continue with single sign-on" in client.get("/sign-in").text
    answer = client.get(go_round(client, "/jobs?state=failed"))
    assert answer.status_code == 303
    assert answer.location == "/jobs?state=failed"
    assert client.get("/api/v1/me").json["name"] == "kim.k"
    assert client.get("/api/v1/me").json["role"] == "member"
    again = team.app.test_client()
    assert again.get(go_round(again)).status_code == 303
    with team.services.database.reading() as session:
        (kim,) = session.scalars(select(Person).where(Person.subject.is_not(None)))
        assert (kim.subject, kim.display_name, kim.email) == (f"{provider}|42", "Kim K.", "kim@example.org")
        assert kim.password_hash == ""
    refused = team.app.test_client().post("/sign-in", data={"name": "kim.k", "password": ""})
    assert refused.status_code == 401


@pytest.mark.parametrize("lie", ["nonce", "audience", "issuer", "expired", "signature"])
def test_a_token_that_lies_signs_nobody_in(team: Team, provider: str, lie: str) -> None:
    choose(provider, sub="43", preferred_username="liar", lie=lie)
    client = team.app.test_client()
    answer = client.get(go_round(client))
    assert answer.status_code == 401
    assert client.get("/").status_code == 302
    with team.services.database.reading() as session:
        assert session.scalar(select(Person).where(Person.name == "liar")) is None


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(team: Team, provider: str) -> None:
    """Somebody else's code, pushed onto a victim's browser, would sign the victim in as the attacker."""
    choose(provider, sub="44", preferred_username="eve")
    attacker, victim = team.app.test_client(), team.app.test_client()
    back = go_round(attacker)
    assert victim.get(back).status_code == 401
    assert victim.get("/sign-in/provider/back?code=x&state=y").status_code == 401
    assert attacker.get(back).status_code == 303
    assert attacker.get(back).status_code == 401, "a code is good once"


def test_nobody_becomes_somebody_else_by_a_name(team: Team, provider: str) -> None:
    choose(provider, sub="45", preferred_username="ada", email="ada@example.org", lie="email")
    client = team.app.test_client()
    assert client.get(go_round(client)).status_code == 303
    me = client.get("/api/v1/me").json
    assert (me["name"], me["role"]) == ("ada-2", "member")
    with team.services.database.reading() as session:
        assert session.scalar(select(Person.email).where(Person.name == "ada-2")) == "", "it was not verified"


def test_a_refusal_there_and_a_disabled_account_here_are_told(team: Team, provider: str) -> None:
    choose(provider, sub="46", preferred_username="dora")
    client = team.app.test_client()
    assert client.get(go_round(client)).status_code == 303
    team.browser("ada").post("/people/dora/disable")
    refused = client.get(go_round(client))
    assert refused.status_code == 401
    assert "disabled" in refused.text
    choose(provider, sub="46", lie="refuse")
    assert "Not you." in client.get(go_round(client)).text


def test_a_provider_that_is_away_is_no_fault_of_ours(settings: Settings, sqlite_url: str, unused_port: int) -> None:
    values = {"database_url": sqlite_url, "oidc_issuer": f"http://127.0.0.1:{unused_port}", "oidc_client_id": "x"}
    app = create_app(settings.model_copy(update=values))
    team = Team(app)
    team.turn_on()
    answer = app.test_client().get("/sign-in/provider")
    assert answer.status_code == 401
    assert "cannot be used just now" in answer.text
    team.services.database.dispose()


@pytest.fixture
def unused_port() -> int:
    """A port where nobody listens."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
