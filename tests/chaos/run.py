"""One chaos run: calm work first, then faults under load, then calm again, the references, and the checks."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import select

from core.models.jobs import Job, JobState
from core.people.accounts import add_person, get_person
from core.people.rights import Role
from core.people.tokens import TokenSettings, create_token
from tests.chaos.checks import Findings, References, check, settings_key
from tests.chaos.faults import Event, Faults, schedule
from tests.chaos.ledger import Ledger
from tests.chaos.place import Place, whole_place
from tests.chaos.users import SETTINGS, User, World
from tests.chaos.watch import Loss, TrainingWatch
from tests.tools.journey import FINAL_STATES, TRAINING, Api, write_pieces, zip_of

_DRAIN_SECONDS = 900.0
_TIDY_SECONDS = 13.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does: on which database, for how long, with how many kills and users, from which seed.

    What finds nothing to be done to is done a little later; after `patience` times `seconds` it is missed.
    """

    database: str
    seconds: float
    kills: int
    seed: int = 0
    users: int = 4
    training_steps: int = 800
    last_seed: int = 199
    resume_point_seconds: float = 5.0
    patience: float = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has shown."""

    plan: Plan
    done: Counter[str]
    missed: Counter[str]
    findings: Findings
    losses: list[Loss]
    backwards: list[str]
    reasons: Counter[str]
    other: Counter[str]
    seconds: float
    drain_seconds: float
    full_disk: bool


def run(plan: Plan, folder: Path) -> Outcome:
    """Do it all; the ledger is kept in `folder`."""
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {what}", flush=True)

    say(f"starting a system on {plan.database}")
    with whole_place(plan.database, plan.resume_point_seconds) as place:
        say("it is up; importing and training, undisturbed")
        ledger = Ledger(folder / f"ledger-{plan.database}-{plan.seed}.jsonl")
        world, model_hash = _prepare(place, ledger, plan, folder)
        watch = TrainingWatch(place.database)
        watching = threading.Thread(target=watch.run, daemon=True)
        watching.start()
        say(f"{plan.users} users begin, and {plan.kills} kills in {plan.seconds:.0f} s")
        done, missed = _hurt(place, world, plan)
        calm_at = time.monotonic()
        say("calm; waiting until every job has ended")
        place.wait_ready()
        _drain(place, world)
        drain_seconds = time.monotonic() - calm_at
        watch.end()
        watching.join()
        say("composing every seed once more")
        references = References(_compose_again(place, world, plan), model_hash)
        time.sleep(_TIDY_SECONDS)  # the maintenance process tidies what has ended at its next look
        say("comparing everything")
        findings = check(place.database, place.store, ledger, references)
        ledger.close()
        for client in world.clients:
            client.close()
        return Outcome(
            plan,
            done,
            missed,
            findings,
            watch.losses,
            watch.backwards,
            Counter(world.reasons),
            ledger.other,
            time.monotonic() - began,
            drain_seconds,
            place.disk.is_small,
        )


def _prepare(place: Place, ledger: Ledger, plan: Plan, folder: Path) -> tuple[World, str]:
    """Import music and train on it, undisturbed; the model is what all compose with, and what trainings must equal."""
    api = Api.at(place.system.address)
    pieces = write_pieces(folder / "pieces", 24, first_seed=7)
    sent = api.upload("/uploads", "files", "pieces.zip", zip_of(pieces))
    dataset = api.send("POST", "/datasets", {"source": "upload", "uploads": [sent["items"][0]["id"]], "name": "Calm"})
    api.succeeded(dataset["job"]["id"], 120)
    settings = {**TRAINING, "steps": plan.training_steps}
    values = {"dataset": dataset["id"], "family": "lstm", "settings": settings}
    training = api.send("POST", "/trainings", {**values, "name": "Calm"})
    api.succeeded(training["job"]["id"], 600)
    model = api.get(f"/trainings/{training['id']}")["model_id"]
    content_hash = str(api.get(f"/models/{model}")["content_hash"])
    api.http.close()
    clients = _turn_accounts_on(place, plan.users)
    world = World(clients, ledger, model, values, zip_of(pieces[:4]))
    return world, content_hash


def _turn_accounts_on(place: Place, users: int) -> list[httpx.Client]:
    """Clients of as many members, and of an administrator at the end, each with a token of their own."""
    people = {"administrator": Role.ADMINISTRATOR} | {f"user-{number}": Role.MEMBER for number in range(users)}
    clients = []
    for name, role in people.items():
        with place.database.transaction() as session:
            add_person(session, name=name, role=role, password=secrets.token_urlsafe())
            settings = TokenSettings(name="chaos", scope="write", days=7)
            _, token = create_token(session, get_person(session, name), settings)
        clients.append(
            httpx.Client(
                base_url=f"{place.system.address}/api/v1",
                headers={"Authorization": f"Bearer {token}"},
                timeout=20.0,
                trust_env=False,
            )
        )
    return [*clients[1:], clients[0]]


def _hurt(place: Place, world: World, plan: Plan) -> tuple[Counter[str], Counter[str]]:
    """Let the users work and the faults happen; what was done, and what never found anything to be done to."""
    without = set()
    if plan.database != "postgresql":
        without.add("postgres")
    if not place.disk.is_small:
        without.add("full disk")
    faults = Faults(place)
    missed: Counter[str] = Counter()
    users = [User(number, world, plan.seed, plan.last_seed) for number in range(plan.users)]
    for user in users:
        user.start()
    began = time.monotonic()
    waiting: list[Event] = []
    events = deque(schedule(plan.seed, plan.seconds, plan.kills, without))
    try:
        while (events or waiting) and time.monotonic() < began + plan.patience * plan.seconds:
            if not place.system.is_supervised():
                raise RuntimeError(f"the supervisor of the parts ended, soon after: {faults.done}")
            while events and began + events[0].at_seconds <= time.monotonic():
                waiting.append(events.popleft())
            oldest = {event.kind: event for event in reversed(waiting)}
            done = next((event for event in oldest.values() if faults.do(event)), None)
            if done is not None:
                waiting.remove(done)
            time.sleep(0.1 if done is not None else 0.5)
        missed.update(event.kind for event in waiting)
        time.sleep(max(began + plan.seconds - time.monotonic(), 0))
    finally:
        faults.calm()
        world.ended.set()
        for user in users:
            user.join()
    return faults.done, missed


def _drain(place: Place, world: World) -> None:
    """Wait until every job has ended; what failed for its own reason is tried again, what is paused goes on."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    while time.monotonic() < deadline:
        with place.database.reading() as session:
            jobs = {job.id: job for job in session.scalars(select(Job))}
        again = {job.retry_of_id for job in jobs.values()}
        still_open = [job for job in jobs.values() if job.state not in FINAL_STATES]
        failed = [
            request
            for request in world.ledger
            if request.job_id in jobs and jobs[request.job_id].state is JobState.FAILED and request.job_id not in again
        ]
        try:
            for job in still_open:
                if job.paused:
                    world.http.post(f"/jobs/{job.id}/resume")
            for request in failed:
                world.try_again(request)
        except httpx.HTTPError as error:
            # The last kill may have hit the web server, which is not back at once.
            world.ledger.count(f"questions without an answer: {type(error).__name__}")
        # A request whose answer was lost is nobody's to try again: it may end in failure for a reason of its own.
        if not still_open and not failed:
            return
        time.sleep(1)


def _compose_again(place: Place, world: World, plan: Plan) -> dict[tuple[str, int], str]:
    """Every seed of every kind of request, composed in the calm."""
    api = Api(place.system.address, world.http)
    found = {}
    for settings in SETTINGS.values():
        made = api.generate(world.model_id, f"0-{plan.last_seed}", **settings)
        api.succeeded(made["job"]["id"], 900)
        for seed, digest in api.digests(made["id"]).items():
            found[settings_key(settings), seed] = digest
    return found
