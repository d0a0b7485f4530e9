"""What the end-to-end journeys share: music to import, the system seen from outside, and patience with a reason."""

from __future__ import annotations

import csv
import io
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pretty_midi
import psutil

from tests.tools.stopping import stopped
from webui.launcher.system import System

Result = TypeVar("Result")

# A network small enough to train in seconds; its steps are enough to be killed and paused in between.
TRAINING = {
    "embedding": 16,
    "units": 64,
    "steps": 800,
    "batch_size": 16,
    "window": 64,
    "evaluate_every": 200,
    "warmup_steps": 20,
}
FINAL_STATES = {"succeeded", "failed", "cancelled"}
_POLL_SECONDS = 0.1
_SCALE = (0, 2, 4, 5, 7, 9, 11)


def until(look: Callable[[], Result | None], seconds: float, what: str = "") -> Result:
    """The first true value that `look` gives; the test fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or 'what was awaited'}"
        time.sleep(_POLL_SECONDS)
    return found


def write_pieces(folder: Path, count: int, *, first_seed: int = 0, notes: int = 120) -> list[Path]:
    """MIDI files of small piano pieces, a wandering melody over broken chords, all different; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _write_piece(folder / f"piece {seed:03d}.mid", seed, notes) for seed in range(first_seed, first_seed + count)
    ]


def zip_of(files: list[Path], **others: bytes) -> bytes:
    """A zip of files, and of `others` by name (with `_mid` for `.mid`)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"folder/{file.name}")
        for name, data in others.items():
            archive.writestr(f"folder/{name.replace('_mid', '.mid')}", data)
    return buffer.getvalue()


def check_zip(data: bytes, takes: list[dict[str, Any]], data_dir: Path) -> None:
    """The zip holds just these takes, as they lie in the store, and a table of them."""
    stored = list((data_dir / "artifacts").rglob("takes/*.mid"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted([*(take["file_name"] for take in takes), "takes.csv"])
        rows = {row["file"]: row for row in csv.DictReader(io.TextIOWrapper(archive.open("takes.csv"), "utf-8"))}
        for take in takes:
            midi = archive.read(take["file_name"])
            assert len(pretty_midi.PrettyMIDI(io.BytesIO(midi)).instruments[0].notes) == take["notes"]
            assert midi in [path.read_bytes() for path in stored]
            row = rows[take["file_name"]]
            assert (int(row["seed"]), float(row["temperature"])) == (take["seed"], take["temperature"])
            assert float(row["pitch_class_entropy"]) == take["pitch_class_entropy"]
            assert float(row["polyphony"]) == take["polyphony"]
        assert len(rows) == len(takes)


def marked_processes(folder: Path) -> list[psutil.Process]:
    """Every process whose environment names `folder` as the data folder."""
    return list(_marked(folder))


def _marked(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            marked = process.environ().get("CADENZA_DATA_DIR") == str(folder)
            if marked and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue


@dataclass(frozen=True)
class Api:
    """The JSON API, asked as a program would ask it; every refusal is an error unless `refused` expects it."""

    address: str
    http: httpx.Client

    @classmethod
    def at(cls, address: str) -> Api:
        """The API of a server."""
        return cls(address, httpx.Client(base_url=f"{address}/api/v1", timeout=60.0, trust_env=False))

    def get(self, path: str, **query: Any) -> Any:
        """The answer to a question."""
        return self.http.get(path, params=query).raise_for_status().json()

    def items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """The rows of a list's first page, of the largest size."""
        found: list[dict[str, Any]] = self.get(path, per_page=500, **query)["items"]
        return found

    def send(self, method: str, path: str, values: dict[str, Any] | None = None) -> Any:
        """The answer to a request that changes something."""
        answer = self.http.request(method, path, json=values).raise_for_status()
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, status: int, values: dict[str, Any] | None = None) -> str:
        """The sentence of a refusal."""
        answer = self.http.request(method, path, json=values)
        assert answer.status_code == status, answer.text
        return str(answer.json()["error"]["message"])

    def file(self, path: str, **query: Any) -> bytes:
        """A file."""
        return self.http.get(path, params=query).raise_for_status().content

    def upload(self, path: str, field: str, name: str, data: bytes, **texts: str) -> Any:
        """The answer to the upload of one file."""
        return self.http.post(path, files={field: (name, data)}, data=texts).raise_for_status().json()

    def job_ended(self, job_id: int, seconds: float = 300.0) -> dict[str, Any]:
        """The job, when it has ended."""

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = self.get(f"/jobs/{job_id}")
            return job if job["state"] in FINAL_STATES else None

        return until(ended, seconds, f"the end of job {job_id}")

    def succeeded(self, job_id: int, seconds: float = 300.0) -> dict[str, Any]:
        """The job, when it has ended well."""
        job = self.job_ended(job_id, seconds)
        assert job["state"] == "succeeded", job["error"]
        return job

    def generate(self, model: int, seeds: str, **settings: Any) -> dict[str, Any]:
        """A new generation."""
        values = {"model": model, "settings": {"seeds": seeds, **settings}}
        made: dict[str, Any] = self.send("POST", "/generations", values)
        return made

    def digests(self, generation_id: int) -> dict[int, str]:
        """SHA-256 of each take by its seed; the files are as the rows say, and no seed is there twice."""
        takes = self.items(f"/generations/{generation_id}/takes")
        digests = {take["seed"]: take["sha256"] for take in takes}
        assert len(digests) == len(takes)
        return digests


@contextmanager
def held_still(system: System, api: Api, worker: str) -> Iterator[None]:
    """Stop the process that runs a worker's units, so that nothing begins or ends while a test looks and acts.

    Longer than the system forgives silence, it counts as lost: its unit waits then, and still has not ended.
    """
    process = next(each["pid"] for each in api.get("/workers")["items"] if each["name"] == worker)
    with stopped(process, system.settings.resolved_database_url):
        yield


@dataclass(frozen=True)
class CommandLine:
    """`cadenza`, in processes of its own, in front of one server."""

    address: str

    def run(self, *arguments: str, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
        """What a command says and how it ends."""
        environment = {key: text for key, text in os.environ.items() if not key.startswith("CADENZA_")}
        environment |= {"CADENZA_URL": self.address, "COLUMNS": "300"}
        command = [sys.executable, "-m", "webui.cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds, check=False)

    def ok(self, *arguments: str, seconds: float = 300.0) -> str:
        """What a command that succeeds prints."""
        done = self.run(*arguments, seconds=seconds)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """The sentence of a command that is refused."""
        done = self.run(*arguments)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stderr.strip()


def _write_piece(path: Path, seed: int, count: int) -> Path:
    generator = random.Random(seed)
    key, step = generator.randint(-5, 6), generator.choice((0.2, 0.25, 0.3))
    piano = pretty_midi.Instrument(0)
    degree = generator.randint(7, 14)
    for index in range(count):
        degree = min(max(degree + generator.choice((-2, -1, -1, 0, 1, 1, 2)), 0), 20)
        root = (0, 3, 4, 0)[index // 8 % 4]
        parts = [(degree + 14, 80)] if index % 2 else [(degree + 14, 90), (root + (0, 2, 4, 7)[index // 2 % 4], 60)]
        for place, velocity in parts:
            pitch = 36 + key + 12 * (place // 7) + _SCALE[place % 7]
            start = index * step
            piano.notes.append(
                pretty_midi.Note(
                    velocity + generator.randint(-9, 9), pitch, start, start + step * generator.choice((0.9, 1.8))
                )
            )
    music = pretty_midi.PrettyMIDI()
    music.instruments.append(piano)
    music.write(str(path))
    return path
