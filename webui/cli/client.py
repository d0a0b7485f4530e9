"""The command line's side of the API: finds the server, asks, and turns refusals into sentences."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

import httpx

from webui.cli.refusal import Refusal
from webui.cli.token_store import stored_token

_PREFIX = "/api/v1"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_RETRY_SECONDS = 20.0
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_START_IT = "start it with `cadenza up` or `make run`, or name its address with --url."


class ApiClient:
    """Asks one server. What only looks is asked again while the server restarts; what changes something never is."""

    def __init__(self, address: str, token: str = "") -> None:
        self.address = _checked(address)
        local = urlsplit(self.address).hostname in _LOOPBACK
        # A proxy of the environment is for other hosts: this machine's own server is asked directly.
        self._http = httpx.Client(base_url=self.address + _PREFIX, timeout=_TIMEOUT, trust_env=not local)
        self._was_there = False
        self.use_token(token)

    @classmethod
    def of(cls, address: str | None) -> ApiClient:
        """A client of the server at `address`, or else of the system that runs on this machine's data.

        It shows the token of `CADENZA_TOKEN`, or the one that was kept for this server, if any.

        Raises:
            Refusal: no system runs here.
        """
        # Not an option: what is written on a command line, everybody on the machine can read.
        token = os.environ.get("CADENZA_TOKEN", "").strip()
        if address:
            return cls(address, token or stored_token(_checked(address)))
        from core.settings import Settings

        settings = Settings()
        try:
            found = (settings.run_dir / "address").read_text().strip()
        except OSError:
            found = ""
        if not found:
            raise Refusal(f"Cadenza is not running on the data in {settings.data_dir}: {_START_IT}")
        return cls(found, token or stored_token(found))

    def use_token(self, token: str) -> None:
        """Send a token with every request from now on; an empty one is none.

        Raises:
            Refusal: it cannot be one.
        """
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise Refusal("This is no token: it has characters that no token has. Copy it once more.")
        self._http.headers.pop("Authorization", None)
        if token:
            self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The answer to a question, as JSON values.

        Raises:
            Refusal: it was refused, or the server stayed away.
        """
        with self._patiently("GET", path, params=query) as response:
            response.read()
            return response.json()

    @contextmanager
    def download(self, path: str, **query: Any) -> Iterator[httpx.Response]:
        """A file's answer, to be read block by block.

        Raises:
            Refusal: it was refused, or the server stayed away.
        """
        with self._patiently("GET", path, params=query) as response:
            yield response

    def send(self, method: str, path: str, values: Mapping[str, Any] | None = None) -> Any:
        """The answer to a request that changes something; sent once.

        Raises:
            Refusal: it was refused, or the server is away.
        """
        return self._sent(method, path, json=None if values is None else dict(values))

    def post_files(self, path: str, field: str, files: list[tuple[str, IO[bytes]]], **texts: str) -> Any:
        """The answer to an upload of (name, open file) pairs.

        Raises:
            Refusal: it was refused, or the server is away.
        """
        parts = [(field, (name, stream, "application/octet-stream")) for name, stream in files]
        return self._sent("POST", path, files=parts, data=texts)

    def _sent(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._away(error) from error
        _refuse_errors(response)
        return response.json() if response.content else None

    @contextmanager
    def _patiently(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        deadline = time.monotonic() + _RETRY_SECONDS
        pause = 0.1
        while True:
            try:
                response = self._http.send(self._http.build_request(method, path, **options), stream=True)
                if response.status_code != httpx.codes.BAD_GATEWAY:
                    break
                response.close()
            except httpx.TransportError as error:
                # A server that never answered is not restarting: say so at once.
                if not self._was_there or time.monotonic() > deadline:
                    raise self._away(error) from error
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
        self._was_there = True
        try:
            _refuse_errors(response)
            yield response
        finally:
            response.close()

    def _away(self, error: httpx.TransportError) -> Refusal:
        if isinstance(error, httpx.ConnectError):
            return Refusal(f"Cadenza is not running at {self.address}: {_START_IT}")
        return Refusal(f"Cadenza at {self.address} did not answer ({error or type(error).__name__}); try again.")


def _checked(address: str) -> str:
    whole = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise Refusal(f"{address[:100]!r} is no address of a server; write it as http://127.0.0.1:8420.")
    return whole.rstrip("/")


def _refuse_errors(response: httpx.Response) -> None:
    if response.status_code < httpx.codes.BAD_REQUEST:
        return
    response.read()
    try:
        message = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"The server answered {response.status_code} {response.reason_phrase}; is this Cadenza's address?"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        message += " Keep a token with `cadenza sign-in`, or set CADENZA_TOKEN."
    raise Refusal(message)
