"""The audit log, for administrators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response, request
from sqlalchemy import select

from core.errors import InputError
from core.models.people import AuditEntry
from core.people.audit import AuditFilter, find_entries
from core.people.rights import Right
from webui.access import needs
from webui.context import current_services
from webui.pages.answers import number_arg, page

bp = Blueprint("audit", __name__, url_prefix="/audit")

AUDIT_NOUNS = (
    "job", "dataset", "training", "model", "generation", "take", "upload", "evaluation", "person", "token", "limit",
    "queue", "worker", "notification", "retention",
)  # fmt: skip
"""What the filter offers: all that acts are done to."""
_PER_PAGE = 50


@bp.get("")
@needs(Right.READ_AUDIT)
def index() -> Response:
    """Who did what, the newest first, by actor, noun, words and days."""
    names = ("actor", "noun", "search", "from", "to")
    asked = {name: request.args.get(name, "").strip() for name in names}
    until = _day("to", asked["to"])
    wanted = AuditFilter(
        actor=asked["actor"],
        action=f"{asked['noun']}." if asked["noun"] else request.args.get("action", ""),
        search=asked["search"],
        subject=request.args.get("subject", ""),
        number=number_arg("number", 0) or None,
        since=_day("from", asked["from"]),
        until=until + timedelta(days=1) if until is not None else None,
    )
    with current_services().database.reading() as session:
        return page(
            "people/audit.html",
            found=find_entries(session, wanted, page=number_arg("page"), per_page=_PER_PAGE),
            asked=asked,
            nouns=AUDIT_NOUNS,
            anything=session.scalar(select(AuditEntry.id).limit(1)) is not None,
        )


def _day(field: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InputError.of(field, f"{field}: {text[:40]!r} is no day; write it as 2026-01-31.") from None
