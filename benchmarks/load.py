"""Two hundred people look at the dashboard and programs ask the API for minutes, while the workers compose.

    python -m benchmarks.load [--clients 200] [--seconds 300] [--out var/load.json]

A whole system is started: web server, workers, maintenance, Valkey, SQLite. Half of the clients are people: they open a
page, wait some seconds, open the next. The other half are programs that ask the API about jobs and takes. One more
keeps the workers busy. Prints requests, percentiles and errors by kind of address. The clients share the machine's
cores with the system.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.models import lstm_checkpoint
from core.settings import Settings
from webui.launcher.system import running_system

_PAGES = ("/", "/jobs", "/generations", "/models", "/datasets", "/generations/{generation}")
_QUESTIONS = (
    "/api/v1/overview",
    "/api/v1/jobs?state=active",
    "/api/v1/jobs/{job}",
    "/api/v1/generations/{generation}",
    "/api/v1/generations/{generation}/takes?per_page=50",
    "/api/v1/workers",
)
_PERSON_SECONDS, _PROGRAM_SECONDS = (2.0, 8.0), (0.5, 3.0)
_SEEDS, _NOTES = 64, 300


@dataclass(slots=True)
class Answers:
    """How long answers took, by kind of address, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    newest: dict[str, int] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each kind of address, and one for all."""
        kinds = {**self.seconds, "all": [second for each in self.seconds.values() for second in each]}
        return [
            {
                "address": kind,
                "requests": len(seconds),
                "median_ms": 1e3 * statistics.median(seconds),
                "p95_ms": 1e3 * _percentile(seconds, 0.95),
                "p99_ms": 1e3 * _percentile(seconds, 0.99),
                "largest_ms": 1e3 * max(seconds),
            }
            for kind, seconds in kinds.items()
            if seconds
        ]


async def client(number: int, address: str, answers: Answers, until: float) -> None:
    """One person or program."""
    chosen = random.Random(number)
    is_person = number % 2 == 0
    addresses, pause = (_PAGES, _PERSON_SECONDS) if is_person else (_QUESTIONS, _PROGRAM_SECONDS)
    async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False, follow_redirects=True) as http:
        await asyncio.sleep(chosen.uniform(0, pause[1]))
        while time.monotonic() < until:
            path = chosen.choice(addresses).format(**answers.newest)
            await _ask(http, path, answers)
            await asyncio.sleep(chosen.uniform(*pause))


async def _ask(http: httpx.AsyncClient, path: str, answers: Answers) -> None:
    kind = re.sub(r"\d+", "N", path.partition("?")[0])
    began = time.perf_counter()
    try:
        answer = await http.get(path)
        await answer.aread()
        if answer.status_code >= 400:
            answers.errors[f"{kind}: {answer.status_code}"] += 1
    except httpx.HTTPError as error:
        answers.errors[f"{kind}: {type(error).__name__}"] += 1
        return
    answers.seconds[kind].append(time.perf_counter() - began)


async def busy_workers(address: str, model: int, answers: Answers, until: float) -> int:
    """Keep generations and renderings waiting; how many generations were asked for."""
    made = 0
    async with httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=60, trust_env=False) as http:
        while time.monotonic() < until:
            active = (await http.get("/jobs", params={"state": "active"})).json()["total"]
            if active < 4:
                settings = {"seeds": f"{made * _SEEDS}-{(made + 1) * _SEEDS - 1}", "length": _NOTES}
                new = (await http.post("/generations", json={"model": model, "settings": settings})).json()
                answers.newest |= {"generation": new["id"], "job": new["job"]["id"]}
                made += 1
                takes = (await http.get(f"/generations/{max(new['id'] - 2, 1)}/takes")).json().get("items", [])
                for take in takes[:2]:
                    await http.post(f"/takes/{take['id']}/audio", json={"format": "mp3"})
            await asyncio.sleep(0.5)
    return made


async def load(address: str, model: int, clients: int, seconds: float) -> tuple[Answers, int]:
    """All clients together."""
    answers, until = Answers(), time.monotonic() + seconds
    feeding = asyncio.create_task(busy_workers(address, model, answers, until))
    while "generation" not in answers.newest:
        await asyncio.sleep(0.1)
    await asyncio.gather(*(client(number, address, answers, until) for number in range(clients)))
    return answers, await feeding


def main() -> None:
    """Start a system, load it, and say how it answered."""
    parser = argparse.ArgumentParser(description="Load a whole system with clients and say how it answers.")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--out", type=Path, default=Path("var/load.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cadenza-load-") as folder:
        settings = Settings(data_dir=Path(folder) / "data", port=0, log_level="WARNING", _env_file=None)
        with running_system(settings, ready_seconds=600) as system:
            files = {"file": ("model.cadenza", lstm_checkpoint(embedding=64, units=256).to_bytes())}
            with httpx.Client(base_url=f"{system.address}/api/v1", timeout=60, trust_env=False) as http:
                model = http.post("/models", files=files, data={"name": "Starter"}).raise_for_status().json()["id"]
                answers, generations = asyncio.run(load(system.address, model, options.clients, options.seconds))
                takes = sum(each["takes_done"] for each in http.get("/generations?per_page=500").json()["items"])
    print(
        f"{options.clients} clients, {options.seconds:.0f} s; {generations} generations, {takes} takes made meanwhile"
    )
    print("| address | requests | median ms | p95 ms | p99 ms | largest ms |\n|---|---|---|---|---|---|")
    rows = answers.rows()
    for row in rows:
        figures = " | ".join(
            f"{row[name]:,.0f}" for name in ("requests", "median_ms", "p95_ms", "p99_ms", "largest_ms")
        )
        print(f"| {row['address']} | {figures} |")
    print(f"errors: {sum(answers.errors.values())} {dict(answers.errors) or ''}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"rows": rows, "errors": answers.errors, "takes": takes}, indent=1))


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


if __name__ == "__main__":
    main()
