"""A job's place in the queue, and what is done to many jobs at once."""

from __future__ import annotations

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.jobs import Queue
from core.people.rights import Right
from core.queue import control
from core.queue.order import Priority, move_before, priority_name, set_priority
from core.queue.order import move as move_job
from core.queue.placing import parse_moment
from core.services import many_jobs
from core.services.job_filters import JobFilter
from webui.context import current_services
from webui.identity import current_actor
from webui.many import others_allowed
from webui.pages.answers import done
from webui.submission import send_tickets_for, wake_queues
from webui.words import plural

bp = Blueprint("placing", __name__, url_prefix="/jobs")

_WORDS = {"first": "is the next of its owner", "up": "moved up", "down": "moved down", "last": "moved to the end"}


@bp.post("/<number:job_id>/move")
def move(job_id: int) -> ResponseReturnValue:
    """Move a waiting job: `to` is first, up, down or last; or right before the job `before` (empty: to the end)."""
    to, before = request.form.get("to", ""), request.form.get("before", "")
    with current_services().database.transaction() as session:
        if to in ("first", "up", "down", "last"):
            move_job(session, job_id, to)  # type: ignore[arg-type]  # mypy does not narrow to the literals
        elif not to and (before.isascii() and before.isdigit() and len(before) < 10):
            move_before(session, job_id, int(before))
        else:
            raise InputError.of("to", f"to: {to[:40]!r} is unknown; allowed are {', '.join(_WORDS)}.")
    return _done(f"Job {job_id} {_WORDS.get(to, f'is before job {before} now')}.", job_id)


@bp.post("/<number:job_id>/priority")
def priority(job_id: int) -> ResponseReturnValue:
    """Give it another priority."""
    chosen = Priority.named(request.form.get("priority", ""))
    if chosen > Priority.NORMAL:
        current_actor().require(Right.RAISE_PRIORITY)
    with current_services().database.transaction() as session:
        set_priority(session, job_id, chosen)
    return _done(f"Job {job_id} has {priority_name(chosen)} priority.", job_id)


@bp.post("/<number:job_id>/start")
def start(job_id: int) -> ResponseReturnValue:
    """Let it start at a given time, or as soon as possible."""
    moment = parse_moment(request.form.get("start_at", ""))
    services = current_services()
    with services.database.transaction() as session:
        job = control.start_at(session, job_id, moment)
    if moment is None:
        send_tickets_for(services.settings, job)
        return _done(f"Job {job_id} starts as soon as its turn comes.", job_id)
    return _done(f"Job {job_id} starts on {moment:%Y-%m-%d} at {moment:%H:%M} UTC.", job_id)


@bp.post("/cancel")
def cancel_many() -> ResponseReturnValue:
    """Cancel all that fit the filters, if they are no more than the page said."""
    cancelled = many_jobs.cancel_jobs(current_services().database, _filter(request.form.get("state", "")), _most())
    return done(f"{plural(len(cancelled), 'job')} cancelled.", url_for("jobs.index"), stay=True)


@bp.post("/retry")
def retry_many() -> ResponseReturnValue:
    """Try all failed jobs that fit the filters again."""
    services = current_services()
    retried = many_jobs.retry_jobs(services.database, _filter(""), _most())
    wake_queues(services.settings, Queue)
    words = f"{plural(len(retried.jobs), 'job')} tried again."
    if retried.refusals:
        words += f" {plural(len(retried.refusals), 'refusal')}: {retried.refusals[0]}"
    return done(words, url_for("jobs.index"), stay=True)


def cancel_replaced(session: Session) -> None:
    """Cancel the job whose edited form this request sends, if its box is ticked and it has not ended meanwhile.

    Raises:
        AccessError: it is another's.
    """
    text = request.form.get("instead_of", "")
    if request.form.get("cancel_old") != "true" or not (text.isascii() and text.isdigit() and len(text) < 10):
        return
    job = control.locked_job(session, int(text))
    current_actor().require_change(job.owner, f"job {job.id}")
    if not job.state.is_final:
        control.cancel(session, job.id)


def _filter(state: str) -> JobFilter:
    kind, queue, search = (request.form.get(name, "") for name in ("kind", "queue", "search"))
    return JobFilter(state, kind, queue, others_allowed(request.form.get("owner", "")), search)


def _most() -> int:
    text = request.form.get("most", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError.of("most", f"most: {text[:40]!r} is refused; the number of jobs that you were asked about is.")
    return int(text)


def _done(message: str, job_id: int) -> ResponseReturnValue:
    return done(message, url_for("jobs.show", job_id=job_id), stay=True)
