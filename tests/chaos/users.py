"""People who use the system all the time: they compose, listen, import, train, change their minds and try again."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import httpx

from tests.chaos.ledger import ACCEPTED, REFUSED, Ledger, Request
from tests.tools.journey import FINAL_STATES

# Two kinds of request, whose every seed is composed once more in the calm afterwards, to compare the bytes.
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"length": 150},
    "hot": {"length": 90, "temperatures": [1.3], "top_p": 0.95},
}
_MOST_OPEN = 3
_PAUSE_SECONDS = 0.4


class User(threading.Thread):
    """One person in front of the API."""

    def __init__(self, number: int, world: World, seed: int, last_seed: int) -> None:
        super().__init__(name=f"user {number}", daemon=True)
        self._number = number
        self._world = world
        self._http = world.clients[number]
        self._last_seed = last_seed
        self._random = random.Random(f"{seed}-{number}")
        self._requests = 0
        self._open: list[Request] = []
        self._takes: list[int] = []

    def run(self) -> None:
        """Go on until the world ends."""
        while not self._world.ended.wait(self._random.uniform(0.2, 1.0) * _PAUSE_SECONDS):
            try:
                self._act()
            except (httpx.HTTPError, OSError, ValueError, LookupError) as error:
                status = getattr(getattr(error, "response", None), "status_code", "")
                self._world.ledger.count(f"questions without an answer: {type(error).__name__} {status}".rstrip())
                self._world.ended.wait(_PAUSE_SECONDS)

    def _act(self) -> None:
        self._look()
        if len(self._open) >= _MOST_OPEN:
            self._change_mind()
            return
        choice = self._random.random()
        if self._number == 0 and not any(request.kind == "training" for request in self._open):
            self._ask("training", "/trainings", self._world.training)
        elif choice < 0.6 or not self._takes:
            count = self._random.choice((4, 8, 16, 24))
            first = self._random.randrange(self._last_seed + 2 - count)
            kind = self._random.choice(sorted(SETTINGS))
            settings = {"seeds": f"{first}-{first + count - 1}", **SETTINGS[kind]}
            self._ask("generation", "/generations", {"model": self._world.model_id, "settings": settings})
        elif choice < 0.75:
            take = self._random.choice(self._takes)
            self._ask("audio", f"/takes/{take}/audio", {"format": self._random.choice(("wav", "mp3"))}, named=False)
        elif choice < 0.9:
            files = {"files": ("pieces.zip", self._world.pieces)}
            sent = self._http.post("/uploads", files=files).raise_for_status().json()
            numbers = [upload["id"] for upload in sent["items"]]
            self._ask("dataset", "/datasets", {"source": "upload", "uploads": numbers})
        else:
            self._http.get(self._random.choice(("/overview", "/jobs", "/generations"))).raise_for_status()
            self._world.ledger.count("questions answered")

    def _ask(self, kind: str, path: str, values: dict[str, Any], named: bool = True) -> None:
        self._requests += 1
        label = f"{kind} {self._number}-{self._requests}"
        request = Request(label, kind, {**values, "path": path})
        self._world.ledger.write(request)
        answer = self._http.post(path, json={**values, "name": label} if named else values)
        if answer.status_code >= 500:
            # The failure of a part: whether it was kept is for the system to say at the end.
            raise httpx.HTTPError(f"{answer.status_code}")
        if answer.is_error:
            request.told = REFUSED
            request.values["refusal"] = answer.text[:300]
        else:
            made = answer.json()
            job = made["job"]
            request.told, request.subject_id = ACCEPTED, int(made.get("id", 0))
            request.job_id = int(job["id"]) if job else 0
            if job:
                self._open.append(request)
        self._world.ledger.write(request)

    def _look(self) -> None:
        """See what became of the own jobs; try failed ones again."""
        for request in list(self._open):
            job = self._http.get(f"/jobs/{request.job_id}").raise_for_status().json()
            if job["state"] not in FINAL_STATES:
                continue
            if job["state"] == "failed" or (job["state"] == "cancelled" and request.ending != "cancel"):
                self._world.try_again(request)
                continue
            self._open.remove(request)
            if request.kind == "generation":
                found = self._http.get(f"/generations/{request.subject_id}/takes", params={"per_page": 50})
                self._takes = [take["id"] for take in found.raise_for_status().json()["items"]] or self._takes

    def _change_mind(self) -> None:
        choice = self._random.random()
        request = self._random.choice(self._open)
        if choice < 0.03 and request.kind == "generation":
            request.ending = "cancel"
            self._world.ledger.write(request)
            self._http.post(f"/jobs/{request.job_id}/cancel")
        elif choice < 0.08:
            self._http.post(f"/jobs/{request.job_id}/pause")
            self._world.ended.wait(self._random.uniform(0.5, 3))
            self._http.post(f"/jobs/{request.job_id}/resume")


class World:
    """What all users share; each has a client with a token of their own."""

    def __init__(
        self, clients: list[httpx.Client], ledger: Ledger, model_id: int, training: dict[str, Any], pieces: bytes
    ) -> None:
        self.clients = clients
        # The last one is the administrator's, who may do everything for everybody.
        self.http = clients[-1]
        self.ledger = ledger
        self.model_id = model_id
        self.training = training
        self.pieces = pieces
        self.ended = threading.Event()
        self.reasons: list[str] = []

    def try_again(self, request: Request) -> None:
        """Queue a failed job once more, and remember why it had failed."""
        job = self.http.get(f"/jobs/{request.job_id}").raise_for_status().json()
        answer = self.http.post(f"/jobs/{request.job_id}/retry")
        if answer.is_success:
            self.reasons.append(str(job["error"]))
            self.ledger.count("tried again")
            request.job_id = int(answer.json()["id"])
            self.ledger.write(request)
        elif answer.status_code == 409:
            # An answer that was lost: the retry is there already.
            jobs = self.http.get("/jobs", params={"per_page": 500}).raise_for_status().json()["items"]
            again = [each["id"] for each in jobs if each["retry_of_id"] == request.job_id]
            if again:
                request.job_id = max(again)
                self.ledger.write(request)
        time.sleep(0.2)
