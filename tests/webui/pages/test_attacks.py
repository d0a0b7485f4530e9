"""A row of attacks, each as an attacker would try it against a team's server."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import mido
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.datasets.internal import is_public, refuse_internal
from core.errors import DownloadError
from core.models.jobs import Job
from core.models.people import AuditEntry, Person
from core.models.uploads import Upload
from core.settings import Settings
from tests.tools.team import PASSWORD, Team
from webui.app import create_app

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def team(app: APIFlask) -> Team:
    team = Team(app)
    team.turn_on()
    return team


@pytest.fixture
def guarded(settings: Settings, sqlite_url: str, valkey_url: str) -> Iterator[Team]:
    """A team on an application of its own, with form tokens, rate limits and a real broker, as in use."""
    values = {"database_url": sqlite_url, "broker_url": valkey_url, "sign_ins_per_minute": 4}
    app = create_app(settings.model_copy(update={**values, "submissions_per_minute": 6}))
    app.config.update(TESTING=True)
    team = Team(app)
    held = team.services
    team.turn_on()
    app.extensions["cadenza"] = held
    yield team
    held.database.dispose()


def form_token(client: FlaskClient, path: str) -> str:
    (token,) = set(re.findall(r'name="csrf_token" value="([^"]+)"', client.get(path).text))
    return str(token)


def sign_in(team: Team, name: str) -> FlaskClient:
    client = team.app.test_client()
    values = {"name": name, "password": PASSWORD, "csrf_token": form_token(client, "/sign-in")}
    assert client.post("/sign-in", data=values).status_code == 303
    return client


# Guessing and flooding


def test_guessing_passwords_ends_soon_and_says_when_to_go_on(guarded: Team) -> None:
    client = guarded.app.test_client()
    token = form_token(client, "/sign-in")
    values = {"name": "ada", "password": "a wrong one", "csrf_token": token}
    answers = [client.post("/sign-in", data=values) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) <= 61
    assert "Wait a moment" in answers[-1].text
    other = client.post("/sign-in", data={**values, "name": "mia"})
    assert other.status_code == 429, "another name from the same address is no way around"
    elsewhere = guarded.app.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "10.1.2.3"
    values = {"name": "ada", "password": PASSWORD, "csrf_token": form_token(elsewhere, "/sign-in")}
    assert elsewhere.post("/sign-in", data=values).status_code == 303, "the person gets in from the usual place"


def test_one_person_cannot_flood_the_queue_and_keeps_nobody_else_from_it(guarded: Team) -> None:
    flood, other = guarded.program("mia"), guarded.program("max")
    answers = [flood("POST", "/api/v1/datasets", json={"source": "starter"}) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [202] * 6 + [429] * 2
    assert "Retry-After" in answers[-1].headers
    assert flood("GET", "/api/v1/jobs").status_code == 200, "looking is free"
    assert other("POST", "/api/v1/datasets", json={"source": "starter"}).status_code == 202


# Other sites


def test_a_form_without_its_token_changes_nothing(guarded: Team) -> None:
    mia = sign_in(guarded, "mia")
    for path in ("/datasets", "/account/tokens", "/account/password", "/sign-out", "/people"):
        answer = mia.post(path, data={"source": "starter", "name": "x", "scope": "write", "days": "1"})
        assert answer.status_code in {400, 403}, path
    wrong = mia.post("/datasets", data={"source": "starter", "csrf_token": "forged"})
    assert wrong.status_code == 400
    strangers = form_token(guarded.app.test_client(), "/sign-in")
    assert mia.post("/datasets", data={"source": "starter", "csrf_token": strangers}).status_code == 400
    with guarded.services.database.reading() as session:
        assert session.scalar(select(func.count(Job.id))) == 0


def test_signing_somebody_in_from_another_site_is_refused(guarded: Team) -> None:
    values = {"name": "mia", "password": PASSWORD}
    assert guarded.app.test_client().post("/sign-in", data=values).status_code == 400
    foreign = guarded.app.test_client().post("/sign-in", data=values, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403


def test_the_api_takes_no_change_by_cookie_from_anywhere_but_our_pages(guarded: Team) -> None:
    mia = sign_in(guarded, "mia")
    foreign: list[dict[str, str]] = [{}, {"Origin": "null"}, {"Origin": "http://["}, {"Sec-Fetch-Site": "none"}]
    for headers in foreign:
        assert mia.post("/api/v1/datasets", json={"source": "starter"}, headers=headers).status_code == 403
    own = {"Origin": "http://localhost"}
    assert mia.post("/api/v1/datasets", json={"source": "starter"}, headers=own).status_code == 202


def test_with_accounts_foreign_names_are_refused_and_addresses_taken(team: Team) -> None:
    client = team.app.test_client()
    assert client.get("/sign-in", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/sign-in", headers={"Host": "192.168.1.7:8420"}).status_code == 200
    held = team.services
    settings = held.settings.model_copy(update={"public_url": "https://cadenza.example.org"})
    team.app.extensions["cadenza"] = replace(held, settings=settings)
    answer = client.get("/sign-in", headers={"Host": "cadenza.example.org"})
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"]


# Stored scripts


def test_scripts_in_names_and_titles_stay_text(team: Team, everything: Any) -> None:
    ask = team.program("max")
    with team.services.database.transaction() as session:
        session.add(Person(name="scripted", role="member", display_name=SCRIPT, email="a@b.c", password_hash=""))
        session.add(AuditEntry(actor=SCRIPT, action=SCRIPT, title=SCRIPT, detail={SCRIPT: SCRIPT}, via=SCRIPT))
    model = {"model": everything.model, "settings": {"seeds": "0-1", "length": 60}, "name": SCRIPT}
    generation = ask("POST", "/api/v1/generations", json=model).json
    assert ask("POST", "/api/v1/tokens", json={"name": SCRIPT[:60], "scope": "read"}).status_code == 201
    max_, ada = team.browser("max"), team.browser("ada")
    ada.environ_base["HTTP_USER_AGENT"] = SCRIPT
    pages = ["/", "/jobs", "/generations", f"/generations/{generation['id']}", f"/jobs/{generation['job']['id']}"]
    for client, paths in ((max_, [*pages, "/account"]), (ada, [*pages, "/people", "/people/scripted", "/audit"])):
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 200
            assert "<script>alert" not in answer.text, path
            assert "<img src=x" not in answer.text, path


def test_scripts_in_the_texts_of_a_midi_file_stay_text(team: Team) -> None:
    song = mido.MidiFile()
    track = mido.MidiTrack()
    song.tracks.append(track)
    for kind in ("text", "copyright", "lyrics", "marker"):
        track.append(mido.MetaMessage(kind, text=SCRIPT))
    track.append(mido.MetaMessage("track_name", name=SCRIPT))
    for number in range(40):
        track.append(mido.Message("note_on", note=60 + number % 12, velocity=64, time=0))
        track.append(mido.Message("note_off", note=60 + number % 12, velocity=0, time=120))
    stream = io.BytesIO()
    song.save(file=stream)
    mia = team.browser("mia")
    sent = mia.post("/uploads", data={"files": [(io.BytesIO(stream.getvalue()), f"{SCRIPT}.mid")]})
    assert sent.status_code == 201
    refused = team.program("mia")(
        "POST", "/api/v1/generations/repeat", data={"file": (io.BytesIO(stream.getvalue()), "x.mid")}
    )
    assert refused.status_code == 422
    assert sent.mimetype == refused.mimetype == "application/json"
    with team.services.database.reading() as session:
        name = session.scalar(select(Upload.file_name))
    assert name is not None
    assert "<script>" not in mia.get("/datasets/new").text


def test_the_content_policy_lets_no_foreign_and_no_inline_script_run(team: Team) -> None:
    client = team.app.test_client()
    for path in ("/sign-in", "/nowhere", "/api/v1/me", "/assets/x/app.js"):
        policy = client.get(path).headers["Content-Security-Policy"]
        scripts = next((part for part in policy.split("; ") if part.startswith("script-src")), policy.split("; ")[0])
        assert "unsafe" not in scripts
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert client.get(path).headers["X-Content-Type-Options"] == "nosniff"
        assert client.get(path).headers["X-Frame-Options"] == "DENY"


# Paths


PATHS = (
    "/assets/x/../../core/settings.py",
    "/assets/x/..%2f..%2fcore%2fsettings.py",
    "/assets/x/%2e%2e/%2e%2e/app.py",
    "/assets/x//etc/passwd",
    "/assets/x/%2fetc%2fpasswd",
    "/assets/x/..%5c..%5capp.py",
    "/api/v1/docs/..%2f..%2fapp.py",
    "/bootstrap/static/..%2f..%2f__init__.py",
    "/static/..%2fapp.py",
    "/people/..%2f..%2fetc%2fpasswd",
    "/takes/1/take.%2e%2e",
)


def test_no_path_leads_out_of_what_is_served(team: Team) -> None:
    for client in (team.app.test_client(), team.browser("ada")):
        for path in PATHS:
            answer = client.get(path)
            assert answer.status_code in {302, 308, 401, 404}, path
            assert b"import" not in answer.get_data()
            assert b"root:" not in answer.get_data()


def test_names_of_uploads_lead_nowhere(team: Team) -> None:
    mia = team.browser("mia")
    for name in ("../../etc/passwd", "/etc/passwd", "..\\..\\boot.ini", "a\0b.mid", "." * 300):
        assert mia.post("/uploads", data={"files": [(io.BytesIO(b"MThd"), name)]}).status_code in {201, 422}
    folder = team.services.settings.data_dir
    outside = [path for path in folder.parent.rglob("*") if path.is_file() and path.read_bytes() == b"MThd"]
    assert all(path.is_relative_to(folder / "artifacts") for path in outside)


# Size


def test_too_many_waiting_files_are_refused_with_a_sentence(team: Team) -> None:
    held = team.services
    team.app.extensions["cadenza"] = replace(held, settings=held.settings.model_copy(update={"uploads_limit_files": 3}))
    ask = team.program("mia")
    sent = [(io.BytesIO(b"MThd"), f"{number}.mid") for number in range(3)]
    assert ask("POST", "/api/v1/uploads", data={"files": sent}).status_code == 201
    refused = ask("POST", "/api/v1/uploads", data={"files": [(io.BytesIO(b"MThd"), "4.mid")]})
    assert refused.status_code == 409
    assert "3 uploaded files of yours" in refused.json["error"]["message"]
    other = team.program("max")("POST", "/api/v1/uploads", data={"files": [(io.BytesIO(b"MThd"), "1.mid")]})
    assert other.status_code == 201


def test_long_passwords_cost_no_hashing(team: Team) -> None:
    client = team.app.test_client()
    for name, password in (("x" * 1_000_000, "y" * 1_000_000), ("ada", "y" * 201)):
        assert client.post("/sign-in", data={"name": name, "password": password}).status_code == 401


def test_a_body_that_is_too_large_is_refused_before_it_is_read(team: Team) -> None:
    limit = team.app.config["MAX_CONTENT_LENGTH"]
    ask = team.program("mia")
    answer = ask(
        "POST", "/api/v1/uploads", headers={"Content-Length": str(limit + 1)}, content_type="multipart/form-data"
    )
    assert answer.status_code in {413, 422}
    deep = ask("POST", "/api/v1/generations", data="[" * 100_000, content_type="application/json")
    assert deep.status_code == 400


# Secrets


def test_no_secret_reaches_a_log_or_the_audit_log(team: Team, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = team.token("ada")
    client, headers = team.app.test_client(), {"Authorization": f"Bearer {token}"}
    body = {"name": "eve", "role": "member", "password": "a very secret one"}
    assert client.post("/api/v1/people", json=body, headers=headers).status_code == 201
    assert (
        client.patch("/api/v1/people/eve", json={"password": "an even better one"}, headers=headers).status_code == 200
    )
    made = client.post("/api/v1/tokens", json={"name": "t", "scope": "read"}, headers=headers).json["secret"]
    client.get(f"/nowhere?token={token}", headers=headers)
    team.browser("eve", "an even better one")
    team.app.test_client().post("/sign-in", data={"name": "eve", "password": "a wrong guess"})
    audit = json.dumps(client.get("/api/v1/audit?per_page=100", headers=headers).json)
    for secret in (token, made, "a very secret one", "an even better one", "a wrong guess"):
        assert secret not in caplog.text
        assert secret not in audit


# The own network


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/", "http://localhost:8420/", "http://[::1]/", "http://10.0.0.1/x.zip", "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/", "http://0/",
        "http://2130706433/", "http://0x7f.1/", "http://[64:ff9b::7f00:1]/", "http://[fd00::1]/", "http://100.64.0.1/",
        "http://[2002:7f00:1::]/", "http://224.0.0.1/",
    ],
)  # fmt: skip
def test_imports_do_not_reach_the_own_network(address: str) -> None:
    with pytest.raises(DownloadError, match="CADENZA_INTERNAL_DOWNLOADS"):
        refuse_internal(address)


def test_public_addresses_are_public() -> None:
    assert all(is_public(text) for text in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"))
