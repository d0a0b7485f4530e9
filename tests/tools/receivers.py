"""Servers that take webhooks and e-mails and remember them, as a person's own would."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope


@dataclass
class Hooks:
    """What arrived: (headers, body). `answer` gives the status of each, by its number from 0."""

    url: str = ""
    answer: Callable[[int], int] = lambda _number: 204
    before_answer: Callable[[bytes], object] = lambda _body: None
    headers_of_answer: dict[str, str] = field(default_factory=dict)
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[Any]:
        """The bodies as JSON values."""
        return [json.loads(body) for _, body in self.arrived]


@contextmanager
def receive_hooks() -> Iterator[Hooks]:
    """A real HTTP server on loopback."""
    hooks = Hooks()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                number = len(hooks.arrived)
                hooks.arrived.append(({name.lower(): value for name, value in self.headers.items()}, body))
            hooks.before_answer(body)
            self.send_response(hooks.answer(number))
            for name, value in hooks.headers_of_answer.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hooks.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hooks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """Whether one of the signatures fits, as the specification's text tells a receiver to check."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    wanted = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return any(
        hmac.compare_digest(each.partition(",")[2], wanted)
        for each in headers["webhook-signature"].split(" ")
        if each.startswith("v1,")
    )


@dataclass
class Mailbox:
    """What arrived, and who may send: `refuse` gives an SMTP answer for a receiver, or an empty text."""

    port: int = 0
    refuse: Callable[[str], str] = lambda _receiver: ""
    arrived: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802  # the library's name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take or refuse a receiver."""
        if answer := self.refuse(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Keep a message."""
        message = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.arrived.append((list(envelope.rcpt_tos), message))
        return "250 OK"


@contextmanager
def receive_mail(user: str = "", password: str = "", context: Any = None) -> Iterator[Mailbox]:
    """A real SMTP server on loopback; with `context` it demands STARTTLS, with `user` a sign-in."""
    mailbox = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        fits = (given.login, given.password) == (user.encode(), password.encode())
        mailbox.signed_in.append(given.login.decode())
        return AuthResult(success=fits, handled=False)

    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0}
    if context is not None:
        options |= {"tls_context": context, "require_starttls": True}
    if user:
        options |= {
            "authenticator": check,
            "auth_required": context is not None,
            "auth_require_tls": context is not None,
        }
    controller = _Controller(mailbox, **options)
    controller.start()
    mailbox.port = controller.server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        controller.stop()


class _Controller(Controller):
    def _trigger_server(self) -> None:
        # The library connects once to the port that it was asked for; this one was chosen by the system.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
