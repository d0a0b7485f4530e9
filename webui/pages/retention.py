"""Retention, for administrators: the rule, what it would delete, deletions and what they removed."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import InputError
from core.operations.retention import find_expired, find_stored
from core.operations.retention_rule import MOST_DAYS, ask_for_run, last_runs, rule_of, set_rule
from core.people.rights import Right
from webui.access import needs
from webui.context import current_services
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page, wanted_part
from webui.words import plural

bp = Blueprint("retention", __name__, url_prefix="/retention")


@bp.get("")
@needs(Right.OPERATE)
def index() -> Response:
    """The rule, each person's storage, the last deletions; with `days` also what is older than that."""
    services = current_services()
    days = number_arg("days", 0)
    if days > MOST_DAYS:
        raise InputError.of("days", f"days: {days} is refused; allowed is 1 to {MOST_DAYS:,}.")
    with services.database.reading() as session:
        rule, runs = rule_of(session, services.settings.retention_days), last_runs(session)
    if wanted_part():
        return page("queue/retention.html", runs=runs)
    expired = {each.owner: each for each in find_expired(services.database, days)} if days else {}
    stored = find_stored(services.database)
    return page(
        "queue/retention.html",
        rule=rule,
        runs=runs,
        days=days,
        asked_days=days or rule.days or 90,
        most_days=MOST_DAYS,
        rows=sorted((owner, size, expired.get(owner)) for owner, size in stored.items()),
        total_stored=sum(stored.values()),
        takes=sum(each.takes for each in expired.values()),
        size=sum(each.bytes for each in expired.values()),
        setting_days=services.settings.retention_days,
    )


@bp.post("/rule")
@needs(Right.OPERATE)
def rule() -> ResponseReturnValue:
    """Set the rule; without days the installation's setting holds again."""
    days = _number("days") if request.form.get("days") else None
    with current_services().database.transaction() as session:
        set_rule(session, days, current_actor().name)
    words = "The installation's setting holds again."
    if days is not None:
        words = (
            f"Takes that nobody kept go after {plural(days, 'day')}." if days else "Retention is off; all takes stay."
        )
    return done(words, url_for("retention.index"), reload=True)


@bp.post("/run")
@needs(Right.OPERATE)
def run() -> ResponseReturnValue:
    """Delete what is older than some days now, if it is no more than the page said."""
    ask_for_run(current_services().database, _number("days"), _number("most"), current_actor().name)
    return done("The deletion begins; its progress is shown below.", url_for("retention.index"), reload=True)


def _number(name: str) -> int:
    text = request.form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError.of(name, f"{name}: {text[:40]!r} is refused; a whole number is needed.")
    return int(text)
