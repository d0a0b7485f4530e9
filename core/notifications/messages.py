"""The words of notifications, one set of facts in three dresses: JSON, an e-mail, a line in the browser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from core.models.base import utc_now
from core.models.notifications import Delivery
from core.notifications.outbox import FAILED, TEST
from core.settings import Settings

_LONGEST_SUBJECT = 150
_MOST_LISTED = 50


def base_address(settings: Settings) -> str:
    """How people reach the pages, without a slash at the end; empty where that is not known."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    try:
        return (settings.run_dir / "address").read_text().strip().rstrip("/")
    except OSError:
        return ""


def webhook_body(delivery: Delivery, base: str) -> bytes:
    """The JSON that a webhook gets, the same at each attempt."""
    job: dict[str, Any] | None = delivery.content or None
    links = {"page": f"{base}/jobs/{job['id']}", "api": f"{base}/api/v1/jobs/{job['id']}"} if job else {"page": base}
    body = {
        "id": delivery.message_id,
        "type": delivery.event,
        "timestamp": delivery.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {"job": job, "links": links},
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def headline(delivery: Delivery) -> str:
    """One line: what happened to which job."""
    if delivery.event == TEST:
        return "This is a test from Cadenza"
    ended = "has failed" if delivery.event == FAILED else "is done"
    return f"{_line(delivery.content['title'])} {ended}"


def detail(delivery: Delivery) -> str:
    """A second line: why it failed, or how long it took."""
    if delivery.event == TEST:
        return "Notifications arrive here."
    job = delivery.content
    if delivery.event == FAILED:
        return _line(job["error"]) or "Its page says more."
    return f"Job {job['id']}, {_span(job['created_at'], job['finished_at'])} after it was asked for."


def mail(deliveries: Sequence[Delivery], sender: str, receiver: str, base: str) -> EmailMessage:
    """One e-mail about one or several ends of jobs of one person, oldest first.

    Raises:
        ValueError: the sender or the receiver is no address of e-mails.
    """
    message = EmailMessage()
    first = deliveries[0]
    failed = sum(1 for each in deliveries if each.event == FAILED)
    subject = headline(first)
    if len(deliveries) > 1:
        subject = f"{len(deliveries)} jobs have ended" + (f", {failed} of them failed" if failed else "")
    message["Subject"] = _line(f"[Cadenza] {subject}")[:_LONGEST_SUBJECT]
    try:
        message["From"], message["To"] = sender, receiver
        named = [each.username and each.domain for each in message["To"].addresses]
    except Exception as error:
        # Python's parser of addresses raises whatever it stumbles over: ValueError, AttributeError, IndexError.
        raise ValueError(f"{receiver[:80]!r} from {sender[:80]!r}: one of these is no e-mail address.") from error
    if len(named) != 1 or not named[0]:
        raise ValueError(f"{receiver[:80]!r} is no e-mail address.")
    message["Date"] = format_datetime(utc_now())
    message["Message-ID"] = f"<{first.message_id}@{sender.rpartition('@')[2].strip('> ') or 'cadenza'}>"
    message["Auto-Submitted"] = "auto-generated"
    lines: list[str] = []
    for each in deliveries[:_MOST_LISTED]:
        lines += [headline(each), detail(each)]
        if each.content and base:
            lines.append(f"{base}/jobs/{each.content['id']}")
        lines.append("")
    if len(deliveries) > _MOST_LISTED:
        lines += [f"And {len(deliveries) - _MOST_LISTED} more.", ""]
    lines.append(f"What you are told of: {base}/account/notifications" if base else "Cadenza")
    message.set_content("\n".join(lines))
    return message


def _line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _span(start: str, end: str) -> str:
    seconds = max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0)
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
