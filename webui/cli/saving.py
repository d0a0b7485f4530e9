"""Saving files of the server on this machine: written aside, then renamed, so that a file is whole or not there."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from webui.cli.client import ApiClient
from webui.cli.following import FINAL_STATES, leaving_it_running, wait_for_job
from webui.cli.refusal import Refusal

_POLL_SECONDS = 0.3


def save(client: ApiClient, path: str, target: Path, **query: Any) -> None:
    """Download `path` of the API to `target`, replacing what was there.

    Raises:
        Refusal: it was refused, or cannot be written.
    """
    aside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with client.download(path, **query) as response, aside.open("wb") as stream:
            for block in response.iter_bytes():
                stream.write(block)
        aside.replace(target)
    except OSError as error:
        raise Refusal(f"{str(target)!r} cannot be written: {error.strerror or error}.") from error
    finally:
        aside.unlink(missing_ok=True)


class TakeSaver:
    """Saves the takes of a generation in a folder, each once, and prints the path of each."""

    def __init__(
        self, client: ApiClient, generation_id: int, folder: Path, extension: str, per_page: int = 500
    ) -> None:
        self._client = client
        self._generation_id = generation_id
        self._folder = folder
        self._extension = extension
        self._per_page = per_page
        self._saved: dict[int, int] = {}
        self._complete_up_to = 0
        self._rendering: dict[int, dict[str, Any]] = {}

    def save_while_running(self, job_id: int) -> None:
        """Save each take as it finishes, until the job has ended; audio is rendered as it goes.

        Raises:
            Refusal: the job failed or was cancelled (what it made is saved), or a file cannot be written.
        """
        try:
            wait_for_job(self._client, job_id, self._save_new)
        finally:
            if self._rendering and not isinstance(sys.exc_info()[1], SystemExit):
                with leaving_it_running(job_id):
                    self._await_audio()

    def _save_new(self, progress: Progress) -> None:
        done = int(self._client.get(f"/generations/{self._generation_id}")["takes_done"])
        if done > len(self._saved) + len(self._rendering):
            for take in self._new_takes(done):
                if self._extension == "mid":
                    save(self._client, f"/takes/{take['id']}/midi", self._target(take))
                    self._note_saved(take, progress)
                else:
                    answer = self._client.send("POST", f"/takes/{take['id']}/audio", {"format": self._extension})
                    self._rendering[take["id"]] = {**take, "job": answer["job"]}
        self._save_rendered(progress)

    def _new_takes(self, done: int) -> Iterator[dict[str, Any]]:
        """Takes that were not there before, read from the first page that was not complete."""
        first = self._complete_up_to // self._per_page + 1
        for page in range(first, -(-done // self._per_page) + 1):
            answer = self._client.get(f"/generations/{self._generation_id}/takes", page=page, per_page=self._per_page)
            for take in answer["items"]:
                if take["id"] not in self._saved and take["id"] not in self._rendering:
                    yield take
                if take["index"] == self._complete_up_to:
                    self._complete_up_to += 1

    def _save_rendered(self, progress: Progress | None) -> None:
        for take in list(self._rendering.values()):
            job = take["job"] and self._client.get(f"/jobs/{take['job']['id']}")
            if job and job["state"] not in FINAL_STATES:
                break
            if job and job["state"] != "succeeded":
                raise Refusal(f"The audio of seed {take['seed']} is not made: {job['error'] or job['state']}")
            save(self._client, f"/takes/{take['id']}/audio", self._target(take), format=self._extension)
            del self._rendering[take["id"]]
            self._note_saved(take, progress)

    def _await_audio(self) -> None:
        while self._rendering:
            self._save_rendered(None)
            if self._rendering:
                time.sleep(_POLL_SECONDS)

    def _target(self, take: dict[str, Any]) -> Path:
        return self._folder / f"{Path(take['file_name']).stem}.{self._extension}"

    def _note_saved(self, take: dict[str, Any], progress: Progress | None) -> None:
        self._saved[take["id"]] = take["index"]
        path = str(self._target(take).resolve())
        if progress is not None and sys.stdout.isatty():
            progress.console.print(path, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(path)
