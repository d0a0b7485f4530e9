"""Who gets in, and what each may do: every address, by rule and not by list, so that a new one is held to it too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.models.jobs import Job
from core.models.uploads import Upload
from core.people.rights import Right
from core.records.database import Database
from tests.tools.team import Team
from webui.access import KINDS, access_of
from webui.acts import act_of
from webui.context import AccountsSwitch, Services
from webui.operations import OPEN_ENDPOINTS
from webui.pages.audit import AUDIT_NOUNS

SAFE = {"GET", "HEAD", "OPTIONS"}
# What the audit page's filter offers, and what services record under a name of their own.
NOUNS = {*AUDIT_NOUNS, "account", "sign_in"}


@pytest.fixture
def team(app: APIFlask, everything: Any) -> Team:
    team = Team(app)
    team.turn_on()
    team.give(everything, "max")
    return team


@pytest.fixture
def only_own(app: APIFlask, everything: Any) -> Team:
    """A team in which others' work is not shown."""
    held: Services = app.extensions["cadenza"]
    settings = held.settings.model_copy(update={"others_jobs": "someone"})
    app.extensions["cadenza"] = Services(settings, held.database, held.store, AccountsSwitch(held.database))
    team = Team(app)
    team.turn_on()
    team.give(everything, "max")
    return team


def addresses(app: APIFlask, everything: Any, *, changing: bool) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Method, path, endpoint and named arguments of every address, filled with what is there."""
    numbers = {
        "job_id": everything.job,
        "dataset_id": everything.dataset,
        "piece_id": everything.piece,
        "model_id": everything.model,
        "training_id": everything.training,
        "generation_id": everything.generation,
        "take_id": everything.takes[0],
    }
    words = {"extension": "mp3", "filename": "cadenza.css", "version": "x", "program": 0}
    others = {"name": "max"}
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if (method not in SAFE) != changing:
                continue
            arguments = {name: (numbers | words | others).get(name, 1) for name in rule.arguments}
            with app.test_request_context():
                path = app.url_map.bind("localhost").build(rule.endpoint, arguments, method=method)
            yield method, path, rule.endpoint, arguments


def ask(client: FlaskClient, method: str, path: str, **headers: str) -> Any:
    options: dict[str, Any] = {"json": {}} if path.startswith("/api/") and method not in SAFE else {}
    return client.open(path, method=method, headers=headers, **options)


def test_every_number_in_an_address_is_of_a_kind_whose_owner_is_known(app: APIFlask) -> None:
    own = {"token_id", "sign_in_id", "delivery_id"}
    named = {name for rule in app.url_map.iter_rules() for name in rule.arguments if name.endswith("_id")}
    assert named - own <= set(KINDS)


def test_nobody_gets_anything_without_signing_in(app: APIFlask, team: Team, everything: Any) -> None:
    client = app.test_client()
    seen = 0
    for changing in (False, True):
        for method, path, endpoint, _arguments in addresses(app, everything, changing=changing):
            with app.app_context():
                if access_of(endpoint).public:
                    continue
            answer = ask(client, method, path)
            seen += 1
            if answer.status_code == 302:
                assert answer.location.startswith("/sign-in?next="), path
                assert not changing
            else:
                assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"
            assert "zarathustra" not in answer.text
    assert seen > 80


def test_only_these_views_are_public(app: APIFlask) -> None:
    with app.app_context():
        endpoints = {rule.endpoint for rule in app.url_map.iter_rules() if access_of(rule.endpoint).public}
    assert endpoints == {
        *OPEN_ENDPOINTS,
        "assets.send_asset",
        "bootstrap.static",
        "openapi.spec",
        "static",
        "sign_in.form",
        "sign_in.sign_in",
        "sign_in.to_provider",
        "sign_in.from_provider",
    }


def test_a_viewer_changes_nothing_but_the_own_account(app: APIFlask, team: Team, everything: Any) -> None:
    client = team.browser("vera")
    allowed = {Right.VIEW, Right.OWN_ACCOUNT}
    before = rows(team.services.database)
    for method, path, endpoint, _arguments in addresses(app, everything, changing=True):
        with app.app_context():
            access = access_of(endpoint)
        if access.public or access.right in allowed:
            continue
        assert ask(client, method, path).status_code == 403, f"{method} {path}"
    assert rows(team.services.database) == before


def test_a_member_changes_nothing_of_another(app: APIFlask, team: Team, everything: Any) -> None:
    client = team.browser("mia")
    seen = 0
    for method, path, endpoint, arguments in addresses(app, everything, changing=True):
        with app.app_context():
            if access_of(endpoint).names_others or not set(arguments) & set(KINDS):
                continue
        answer = ask(client, method, path)
        assert answer.status_code in {403, 404}, f"{method} {path}: {answer.status_code}"
        seen += answer.status_code == 403
    assert seen > 20
    with team.services.database.reading() as session:
        assert session.get_one(Job, everything.job).cancel_requested is False


def test_a_member_does_no_administration(app: APIFlask, team: Team, everything: Any) -> None:
    client = team.browser("mia")
    for path in ("/people", "/people/max", "/audit", "/api/v1/people", "/api/v1/audit", "/api/v1/people/ada"):
        assert client.get(path).status_code == 403
    for path in ("/people", "/people/mia", "/people/ada/password", "/people/max/disable", "/people/max/sign-out"):
        assert client.post(path, data={"role": "administrator"}).status_code == 403
    assert client.patch("/api/v1/people/mia", json={"role": "administrator"}).status_code == 403


def test_owners_and_administrators_change_a_thing(team: Team, everything: Any) -> None:
    assert team.browser("mia").post(f"/jobs/{everything.job}/pause").status_code == 403
    assert team.browser("max").post(f"/jobs/{everything.job}/pause").status_code == 303
    assert team.browser("ada").post(f"/jobs/{everything.job}/cancel").status_code == 303


def test_what_somebody_submits_is_theirs_by_page_and_by_token(team: Team, everything: Any) -> None:
    values = {"model_id": str(everything.model), "seeds": "0-3", "length": "60"}
    assert team.browser("mia").post("/generations", data=values).status_code == 303
    body = {"model": everything.model, "settings": {"seeds": "0-3", "length": 60}}
    assert team.program("mia")("POST", "/api/v1/generations", json=body).status_code == 202
    with team.services.database.reading() as session:
        assert session.scalar(select(func.count(Job.id)).where(Job.owner == "mia")) == 2


def test_a_token_for_reading_reads_only(team: Team, everything: Any) -> None:
    ask_reading = team.program("ada", "read")
    assert ask_reading("GET", "/api/v1/jobs").status_code == 200
    assert ask_reading("GET", "/api/v1/audit").status_code == 200
    refused = ask_reading("POST", f"/api/v1/jobs/{everything.job}/cancel")
    assert refused.status_code == 403
    assert "for reading only" in refused.json["error"]["message"]
    assert ask_reading("POST", "/api/v1/tokens", json={"name": "more", "scope": "write"}).status_code == 403


def test_another_persons_files_cannot_be_used_by_their_numbers(team: Team, everything: Any) -> None:
    with team.services.database.transaction() as session:
        session.add(Upload(owner="max", file_name="secret.mid", key="uploads/x", size_bytes=1, sha256="ab"))
    ask_mia = team.program("mia")
    assert ask_mia("GET", "/api/v1/uploads/1").status_code == 404
    assert ask_mia("DELETE", "/api/v1/uploads/1").status_code == 404
    refused = ask_mia("POST", "/api/v1/datasets", json={"source": "upload", "uploads": [1], "name": "Mine"})
    assert refused.status_code == 422
    assert "there is no uploaded file 1" in refused.json["error"]["message"]
    primer = {"kind": "upload", "upload_id": 1}
    body = {"model": everything.model, "settings": {"seeds": "0"}, "primer": primer}
    assert "no uploaded file 1" in ask_mia("POST", "/api/v1/generations", json=body).json["error"]["message"]
    assert team.program("max")("GET", "/api/v1/uploads/1").status_code == 200


def test_others_work_shows_nowhere_when_it_shall_not(app: APIFlask, only_own: Team, everything: Any) -> None:
    client = only_own.browser("mia")
    still = {"live.stream", "sign_in.to_provider", "sign_in.from_provider", "instruments.samples"}
    for _method, path, endpoint, arguments in addresses(app, everything, changing=False):
        if endpoint in still or "filename" in arguments:
            continue
        for asked in (path,) if arguments else (path, f"{path}?search=zarathustra", f"{path}?owner=max"):
            answer = client.get(asked)
            assert answer.status_code < 500, asked
            shown = answer.get_data()
            for own in (b"search=zarathustra", b'value="zarathustra"', "“zarathustra”".encode()):
                shown = shown.replace(own, b"")
            assert b"zarathustra" not in shown, asked


def test_others_music_cannot_be_used_by_its_number_either(only_own: Team, everything: Any) -> None:
    take, generation, model = everything.takes[0], everything.generation, everything.model
    primer = {"model": model, "settings": {"seeds": "0", "length": 1}, "primer": {"kind": "take", "take_id": take}}
    measured = {"model": model, "dataset": everything.dataset, "generation_id": generation}
    for path, sent, words in (
        ("/api/v1/generations", primer, f"there is no take {take}"),
        ("/api/v1/evaluations", measured, f"there is no generation {generation}"),
    ):
        answer = only_own.program("mia")("POST", path, json=sent)
        assert answer.status_code == 422
        assert words in answer.text
        assert only_own.program("max")("POST", path, json=sent).status_code == 202


def test_somebodys_job_is_a_row_without_words(only_own: Team, everything: Any) -> None:
    ask_mia = only_own.program("mia")
    listed = ask_mia("GET", "/api/v1/jobs").json
    assert listed["total"] == 3
    for job in listed["items"]:
        assert (job["title"], job["owner"], job["error"], job["subject"]) == ("Someone's job", "someone", "", "")
    assert ask_mia("GET", "/api/v1/jobs?search=zarathustra").json["total"] == 0
    assert ask_mia("GET", "/api/v1/jobs?owner=max").json["total"] == 0
    assert ask_mia("GET", f"/api/v1/jobs/{everything.job}/log").json["items"] == []
    assert ask_mia("GET", "/api/v1/generations").json["total"] == 0
    assert ask_mia("GET", f"/api/v1/takes/{everything.takes[0]}").status_code == 404
    assert ask_mia("GET", f"/api/v1/generations/{everything.generation}/takes.zip").status_code == 404
    more = ask_mia("POST", f"/api/v1/takes/{everything.takes[0]}/more", json={"count": 2})
    assert more.status_code == 404
    source = {"source": "takes", "generation_id": everything.generation, "name": "Taken"}
    assert ask_mia("POST", "/api/v1/datasets", json=source).status_code == 422
    own = only_own.program("max")("GET", "/api/v1/jobs?search=zarathustra").json
    assert {job["title"] for job in own["items"]} == {"The zarathustra symphony"}
    assert only_own.program("ada")("GET", "/api/v1/jobs?search=zarathustra").json["total"] == own["total"]


def test_what_is_used_by_unseen_work_is_still_protected(only_own: Team, everything: Any) -> None:
    """A decision counts all rows, also those that the one who asks cannot see."""
    with only_own.services.database.transaction() as session:
        session.execute(Job.__table__.update().values(state="queued"))
    owner = only_own.program("ada")
    assert owner("DELETE", f"/api/v1/models/{everything.model}").status_code == 409


def test_without_accounts_nothing_is_asked(client: FlaskClient) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/api/v1/me").json["name"] == "local"
    assert "Turn accounts on" in client.get("/people").text
    assert client.get("/sign-in").location == "/"


def rows(database: Database) -> int:
    with database.reading() as session:
        return sum(session.scalar(select(func.count()).select_from(table)) or 0 for table in (Job, Upload))


def test_pages_and_api_call_an_act_by_the_same_words(app: APIFlask) -> None:
    acts: dict[tuple[str, str], set[str]] = {}
    for rule in app.url_map.iter_rules():
        if (rule.methods or set()) - SAFE:
            act = act_of(rule.endpoint, {})
            acts.setdefault((act.noun, act.verb), set()).add(rule.endpoint)
    assert {noun for noun, _verb in acts} <= NOUNS
    for act in (("job", "cancel"), ("generation", "rename"), ("dataset", "import"), ("take", "more_like")):
        assert len(acts[act]) > 1, act


def test_many_jobs_at_once_are_ones_own(team: Team, everything: Any) -> None:
    for path in ("/api/v1/jobs/cancel", "/api/v1/jobs/retry"):
        answer = team.program("mia")("POST", path, json={"most": 500})
        assert answer.status_code in {200, 202, 409}, answer.text
    with team.services.database.reading() as session:
        job = session.get_one(Job, everything.job)
        assert (job.owner, job.state.value, job.cancel_requested) == ("max", "queued", False)
