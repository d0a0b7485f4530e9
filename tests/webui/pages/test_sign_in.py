"""Signing in and out, passwords, tokens, roles: what lets somebody in, and what ends it."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from core.models.base import utc_now
from core.models.people import ApiToken, Person, SignIn
from core.people.secrets import secret_hash
from tests.tools.team import PASSWORD, Team
from webui.pages.sign_in import safe_next


@pytest.fixture
def team(app: APIFlask) -> Team:
    team = Team(app)
    team.turn_on()
    return team


def cookies(client: FlaskClient) -> str:
    return str(getattr(client, "_cookies"))  # noqa: B009  # the test client has no public way to them


def test_the_first_person_turns_accounts_on_and_is_signed_in(client: FlaskClient, app: APIFlask) -> None:
    refused = client.post("/people", data={"name": "ada", "role": "member", "password": PASSWORD})
    assert refused.status_code == 409
    assert "must be an administrator" in refused.text
    assert client.get("/").status_code == 200
    begun = client.post("/people", data={"name": "Ada", "role": "administrator", "password": PASSWORD})
    assert begun.status_code == 303
    assert client.get("/people").status_code == 200
    assert app.test_client().get("/").status_code == 302
    team = Team(app)
    assert team.browser("ada").get("/account").status_code == 200


@pytest.mark.parametrize("password", ["short", "a" * 40, "x" * 201, "administrator-name", "          "])
def test_weak_passwords_are_refused_and_never_quoted(client: FlaskClient, password: str) -> None:
    values = {"name": "administrator-name", "role": "administrator", "password": password}
    answer = client.post("/people", data=values)
    assert answer.status_code == 422
    assert password.strip() == "" or password not in answer.text.replace('value="administrator-name"', "")


@pytest.mark.parametrize("name", ["", "local", "system", "someone", "a b", "../etc", "<script>", "ä", "x" * 65, "-x"])
def test_names_that_cannot_be_are_refused(client: FlaskClient, name: str) -> None:
    values = {"name": name, "role": "administrator", "password": PASSWORD}
    assert client.post("/people", data=values).status_code == 422


def test_wrong_pairs_are_refused_alike_and_written_down(app: APIFlask, team: Team) -> None:
    client = app.test_client()
    said = set()
    for name, password in (("ada", "wrong password"), ("nobody", PASSWORD), ("ada", "")):
        answer = client.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 401
        said.add(re.sub(r"\s+", " ", answer.text.partition('role="alert"')[2].partition("</div>")[0]))
    assert len(said) == 1
    entries = team.program("ada")("GET", "/api/v1/audit?action=person.refused").json
    assert entries["total"] == 3
    assert {entry["actor"] for entry in entries["items"]} == {"anonymous"}


def test_the_cookie_is_new_at_sign_in_and_useless_after_sign_out(app: APIFlask, team: Team) -> None:
    client = app.test_client()
    client.get("/sign-in")
    with client.session_transaction() as session:
        session["planted"] = "before"
    client.post("/sign-in", data={"name": "mia", "password": PASSWORD})
    with client.session_transaction() as session:
        assert "planted" not in session
        stolen = dict(session)
    assert client.get("/account").status_code == 200
    assert client.post("/sign-out").location == "/sign-in"
    assert client.get("/account").status_code == 302
    thief = app.test_client()
    with thief.session_transaction() as session:
        session.update(stolen)
    assert thief.get("/account").status_code == 302


def test_cookies_are_kept_from_scripts_and_other_sites(app: APIFlask, team: Team) -> None:
    answer = app.test_client().post("/sign-in", data={"name": "mia", "password": PASSWORD})
    (cookie,) = [text for text in answer.headers.getlist("Set-Cookie") if text.startswith("cadenza_")]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


def test_a_sign_in_ends_by_itself(app: APIFlask, team: Team) -> None:
    idle, old = team.browser("mia"), team.browser("max")
    with team.services.database.transaction() as session:
        mia, maximilian = (session.scalar(select(Person.id).where(Person.name == name)) for name in ("mia", "max"))
        before = utc_now() - timedelta(hours=13)
        session.execute(update(SignIn).where(SignIn.person_id == mia).values(seen_at=before))
        long_ago = utc_now() - timedelta(days=31)
        session.execute(update(SignIn).where(SignIn.person_id == maximilian).values(created_at=long_ago))
    assert idle.get("/").status_code == 302
    assert old.get("/").status_code == 302


def test_a_changed_password_signs_out_everywhere_else(team: Team) -> None:
    here, there = team.browser("mia"), team.browser("mia")
    values = {"old": "not this one", "new": "eleven blue birds", "again": "eleven blue birds"}
    assert here.post("/account/password", data=values).status_code == 422
    values |= {"old": PASSWORD, "again": "eleven blue cats"}
    assert "differ" in here.post("/account/password", data=values).text
    values |= {"again": "eleven blue birds"}
    assert here.post("/account/password", data=values).status_code == 303
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 302
    assert team.browser("mia", "eleven blue birds").get("/").status_code == 200


def test_a_disabled_person_is_out_at_once(team: Team) -> None:
    browser, program, ada = team.browser("mia"), team.program("mia"), team.browser("ada")
    assert program("GET", "/api/v1/jobs").status_code == 200
    assert ada.post("/people/mia/disable").status_code == 303
    assert browser.get("/").status_code == 302
    assert program("GET", "/api/v1/jobs").status_code == 401
    assert team.app.test_client().post("/sign-in", data={"name": "mia", "password": PASSWORD}).status_code == 401
    assert ada.post("/people/mia/enable").status_code == 303
    assert team.browser("mia").get("/").status_code == 200
    assert program("GET", "/api/v1/jobs").status_code == 401


def test_the_last_administrator_stays(team: Team) -> None:
    ada = team.browser("ada")
    assert ada.post("/people/ada", data={"role": "member"}).status_code == 409
    assert ada.post("/people/ada/disable").status_code == 409
    assert ada.post("/people/mia", data={"role": "administrator"}).status_code == 303
    assert ada.post("/people/ada", data={"role": "member"}).status_code == 303
    assert ada.get("/people").status_code == 403


def test_a_right_beyond_the_role_is_given_to_one_person(team: Team) -> None:
    values = {"role": "member", "extra_rights": "raise_priority"}
    assert team.browser("ada").post("/people/mia", data=values).status_code == 303
    assert "raise_priority" in team.program("mia")("GET", "/api/v1/me").json["rights"]
    assert "raise_priority" not in team.program("max")("GET", "/api/v1/me").json["rights"]
    values["extra_rights"] = "manage_people"
    assert team.browser("ada").post("/people/mia", data=values).status_code == 422


def test_a_token_is_shown_once_and_stored_as_a_digest(team: Team) -> None:
    mia = team.browser("mia")
    made = mia.post("/account/tokens", data={"name": "plots", "scope": "read", "days": "30"})
    (secret,) = re.findall(r'value="(cadenza_[\w-]{43})"', made.text)
    assert secret not in mia.get("/account").text
    with team.services.database.reading() as session:
        (token,) = session.scalars(select(ApiToken))
        assert token.secret_hash == secret_hash(secret)
        assert secret not in " ".join(str(value) for value in vars(token).values())
        assert timedelta(days=29) < token.expires_at - utc_now() <= timedelta(days=30)
        assert token.used_at is None
    headers = {"Authorization": f"Bearer {secret}"}
    client = team.app.test_client()
    assert client.get("/api/v1/me", headers=headers).json["via"] == "plots"
    listed = client.get("/api/v1/tokens", headers=headers).json["items"]
    assert listed[0]["used_at"] is not None
    assert secret not in client.get("/api/v1/tokens", headers=headers).text
    assert mia.post("/account/tokens/1/revoke").status_code == 303
    assert client.get("/api/v1/me", headers=headers).status_code == 401


def test_tokens_end(team: Team) -> None:
    ask = team.program("mia")
    assert ask("GET", "/api/v1/me").status_code == 200
    with team.services.database.transaction() as session:
        session.execute(update(ApiToken).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert ask("GET", "/api/v1/me").status_code == 401


def test_one_persons_tokens_and_browsers_are_not_anothers(team: Team) -> None:
    team.token("mia")
    team.browser("mia")
    other = team.browser("max")
    assert other.post("/account/tokens/1/revoke").status_code == 404
    assert other.post("/account/sign-ins/1/end").status_code == 404
    assert team.program("max")("DELETE", "/api/v1/tokens/1").status_code == 404
    with team.services.database.reading() as session:
        assert session.get_one(ApiToken, 1).revoked_at is None


def test_a_token_cannot_change_the_password_nor_outlive_itself(team: Team) -> None:
    ask = team.program("mia")
    values = {"old": PASSWORD, "new": "eleven blue birds", "again": "eleven blue birds"}
    assert ask("POST", "/account/password", data=values).status_code == 403
    made = ask("POST", "/api/v1/tokens", json={"name": "longer", "scope": "write", "days": 365})
    assert made.status_code == 201
    with team.services.database.reading() as session:
        first, second = session.scalars(select(ApiToken).order_by(ApiToken.id))
        assert second.expires_at == first.expires_at


def test_odd_authorizations_are_nobodys(team: Team) -> None:
    client = team.app.test_client()
    for header in (
        "Bearer",
        "Bearer ",
        "Bearer x y",
        "Basic YTpi",
        "Bearer " + "x" * 5_000,
        "Bearer cadenza_\x01",
        "é",
    ):
        assert client.get("/api/v1/me", headers={"Authorization": header}).status_code == 401


ELSEWHERE = (
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "http:evil",
    "javascript:alert(1)",
    "\t//evil.example",
    "/\t/evil.example",
    "///evil.example",
    "evil",
    "/sign-out",
    "@evil.example",
)


def test_signing_in_leads_only_to_own_pages(app: APIFlask, team: Team) -> None:
    with app.test_request_context():
        assert {safe_next(wanted) for wanted in ELSEWHERE} == {"/"}
        # A tab that is written out is a path of this server like any other, which browsers do not resolve.
        assert safe_next("/%09/evil.example") == "/%09/evil.example"
    for wanted in ("/\t/evil.example", "//evil.example"):
        values = {"name": "mia", "password": PASSWORD, "next": wanted}
        assert app.test_client().post("/sign-in", data=values).location == "/"


def test_signing_in_leads_back_to_the_page_that_was_wanted(app: APIFlask, team: Team) -> None:
    client = app.test_client()
    sent = client.get("/jobs?state=failed&search=a b")
    form = client.get(sent.location).text
    (wanted,) = re.findall(r'name="next" value="([^"]*)"', form)
    values = {"name": "mia", "password": PASSWORD, "next": wanted.replace("&amp;", "&")}
    assert client.post("/sign-in", data=values).location == "/jobs?state=failed&search=a%20b"


def test_people_through_the_api(team: Team) -> None:
    ask = team.program("ada")
    body = {"name": "eve", "role": "viewer", "password": PASSWORD, "email": "eve@example.org"}
    made = ask("POST", "/api/v1/people", json=body)
    assert made.status_code == 201
    assert made.location.endswith("/api/v1/people/eve")
    assert PASSWORD not in made.text
    assert ask("POST", "/api/v1/people", json=body).status_code == 422
    assert ask("PATCH", "/api/v1/people/eve", json={"role": "member"}).json["role"] == "member"
    assert ask("PATCH", "/api/v1/people/eve", json={"disabled": True}).json["disabled"] is True
    assert ask("GET", "/api/v1/people?search=example.org").json["total"] == 1
    assert ask("GET", "/api/v1/people/nobody").status_code == 404


def test_what_people_did_is_in_the_audit_log(team: Team, everything: Any) -> None:
    mia = team.program("mia")
    body = {"model": everything.model, "settings": {"seeds": "0-3", "length": 60}, "name": "Evening"}
    generation = mia("POST", "/api/v1/generations", json=body).json
    assert mia("PATCH", f"/api/v1/generations/{generation['id']}", json={"name": "Night"}).status_code == 200
    job = generation["job"]["id"]
    assert team.browser("ada").post(f"/jobs/{job}/cancel").status_code == 303
    assert mia("POST", f"/api/v1/jobs/{job}/cancel").status_code == 409
    assert mia("DELETE", f"/api/v1/generations/{generation['id']}").status_code == 204
    log = team.program("ada")("GET", "/api/v1/audit?per_page=100").json["items"]
    told = [(entry["actor"], entry["action"], entry["number"], entry["title"]) for entry in log]
    assert ("mia", "generation.create", generation["id"], "Evening") in told
    assert ("mia", "generation.rename", generation["id"], "Night") in told
    assert ("ada", "job.cancel", job, "Evening") in told
    assert ("mia", "job.cancel", job, "Evening") not in told, "what was refused was not done"
    assert ("mia", "generation.delete", generation["id"], "Night") in told
    created = next(entry for entry in log if entry["action"] == "generation.create")
    assert created["detail"]["jobs"] == [job]
    assert created["via"] == "mia's write"
    page = team.browser("ada").get("/audit?actor=mia&noun=generation")
    assert "Evening" in page.text
    assert "job.cancel" not in page.text
    assert team.browser("ada").get("/audit?from=yesterday").status_code == 422
    assert "No entry fits" in team.browser("ada").get("/audit?to=2001-01-01").text


def test_uploads_and_what_is_made_of_them_are_recorded_apart(app: APIFlask, everything: Any) -> None:
    client = app.test_client()
    client.post("/datasets", data={"source": "upload", "files": [(io.BytesIO(b"MThd"), "a.mid")]})
    log = client.get("/api/v1/audit?actor=local").json["items"]
    assert [entry["action"] for entry in log] == ["dataset.import", "upload.create"]
    assert [entry["title"] for entry in log][1] == "a.mid"
