"""The audit log: who did what, written in the transaction of the act, so that neither is there without the other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.people import AuditEntry
from core.people.rights import SYSTEM_ACTOR, Actor
from core.services.paging import Page, fetch_page
from core.services.rows import storable

_LONGEST_TITLE = 200


def acting(session: Session) -> Actor:
    """On whose behalf a session works."""
    actor: Actor = session.info.get("actor", SYSTEM_ACTOR)
    return actor


def record(
    session: Session, action: str, *, subject: str = "", number: int | None = None, title: str = "", **detail: Any
) -> AuditEntry:
    """Write down an act; it is kept if the act is.

    Args:
        session: the transaction of the act.
        action: noun and verb, such as "job.cancel".
        subject: what kind of thing it was done to, such as "job".
        number: the thing's number.
        title: what the thing is called; the log outlives it.
        detail: what else is worth knowing; never a secret.
    """
    actor = acting(session)
    entry = AuditEntry(
        actor=actor.name,
        via=actor.via,
        address=actor.address,
        action=action,
        subject=subject,
        number=number,
        title=storable(title)[:_LONGEST_TITLE],
        detail={name: storable(value) if isinstance(value, str) else value for name, value in detail.items()},
    )
    session.add(entry)
    session.info["recorded"] = True
    return entry


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: of one actor, one action ("job.cancel", or "job." for all of a noun), one thing, in a time.

    `search` looks into titles.
    """

    actor: str = ""
    action: str = ""
    search: str = ""
    subject: str = ""
    number: int | None = None
    since: datetime | None = None
    until: datetime | None = None


def find_entries(session: Session, wanted: AuditFilter, *, page: int = 1, per_page: int = 50) -> Page[AuditEntry]:
    """The entries that fit, the newest first."""
    statement = select(AuditEntry).order_by(AuditEntry.id.desc())
    if wanted.actor:
        statement = statement.where(AuditEntry.actor == storable(wanted.actor))
    if action := storable(wanted.action):
        of_noun = AuditEntry.action.startswith(action, autoescape=True)
        statement = statement.where(of_noun if action.endswith(".") else AuditEntry.action == action)
    if words := storable(wanted.search).strip():
        statement = statement.where(AuditEntry.title.icontains(words, autoescape=True))
    if wanted.subject:
        statement = statement.where(AuditEntry.subject == storable(wanted.subject))
    if wanted.number is not None:
        statement = statement.where(AuditEntry.number == wanted.number)
    if wanted.since is not None:
        statement = statement.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(AuditEntry.at < wanted.until)
    return fetch_page(session, statement, page=page, per_page=per_page)
