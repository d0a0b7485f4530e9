"""The audit log's entries about requests: each that changes something writes one, in the transaction of the change.

What is done is in the address, to what is in the address or among the new rows; so nothing can be added to the pages or
the API without being recorded. Code that knows more calls `core.people.audit.record` itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import g, has_request_context, request
from sqlalchemy import event
from sqlalchemy.orm import Session

from core.models.base import Base
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation
from core.models.generations import Generation, Take
from core.models.jobs import Job
from core.models.trainings import Model, Training
from core.models.uploads import Upload
from core.people.audit import record

_NOUNS: dict[str, type[Base]] = {
    "dataset": Dataset,
    "training": Training,
    "model": Model,
    "evaluation": Evaluation,
    "generation": Generation,
    "take": Take,
    "job": Job,
    "upload": Upload,
}
# Where the name of the view says something else than noun and verb.
_NAMED = {
    "api.keep_best": "training.keep",
    "api.render_take": "take.render",
    "takes.request_audio": "take.render",
    "api.search_take": "take.search",
    "takes.search": "take.search",
    "api.change_take": "take.change",
    "takes.star": "take.change",
    "takes.note": "take.change",
    "api.upload_model": "model.upload",
    "api.add_ready_model": "model.add",
    "models.ready": "model.add",
    "takes.more": "take.more_like",
    "placing.move": "job.move",
    "placing.priority": "job.place",
    "placing.start": "job.place",
    "placing.cancel_many": "job.cancel",
    "placing.retry_many": "job.retry",
    "queue.drain": "worker.drain",
    "queue.undrain": "worker.resume",
    "queue.start": "queue.choose_start",
    "api.choose_start": "queue.choose_start",
    "limits.save": "limit.set",
    "retention.rule": "retention.set_rule",
    "api.set_retention_rule": "retention.set_rule",
    "notifications.save": "notification.change",
    "notifications.again": "notification.send_again",
    "api.send_again_delivery": "notification.send_again",
    "api.change_webhook_secret": "notification.secret",
    "datasets.create": "dataset.import",
    "api.create_dataset": "dataset.import",
}
_MAKING = frozenset({"create", "import", "upload", "repeat", "more_like"})
_TOLD = ("name", "role", "priority", "state", "kind", "count", "queue", "paused", "position")
_LONGEST_TOLD = 100


@dataclass(frozen=True, slots=True)
class Act:
    """What a request does: noun and verb, and the number in its address."""

    noun: str
    verb: str
    number: int | None


def attach_acts() -> None:
    """Record the acts of all requests; asked once, whatever the number of applications."""
    for name, listener in (("after_flush", _remember_rows), ("before_commit", _record_act)):
        if not event.contains(Session, name, listener):
            event.listen(Session, name, listener)


def act_of(endpoint: str, view_args: dict[str, Any]) -> Act:
    """The act of a view: `jobs.cancel` and `api.cancel_job` are both "job.cancel"."""
    blueprint, _, view = endpoint.rpartition(".")
    if endpoint in _NAMED:
        noun, verb = _NAMED[endpoint].split(".")
    elif blueprint == "api":
        verb, _, noun = view.rpartition("_")
    else:
        noun, verb = blueprint.rpartition(".")[2], view
    noun = {"people": "person", "queues": "queue", "settings": "setting"}.get(noun, noun.removesuffix("s"))
    number = view_args.get(f"{noun}_id")
    return Act(noun, verb, number if isinstance(number, int) else None)


def _remember_rows(session: Session, _context: Any) -> None:
    if has_request_context():
        classes = tuple(_NOUNS.values())
        for name, rows in (("made", session.new), ("touched", session.dirty), ("touched", session.deleted)):
            session.info.setdefault(name, []).extend(row for row in rows if isinstance(row, classes))


def _record_act(session: Session) -> None:
    if not has_request_context() or request.method in {"GET", "HEAD", "OPTIONS"} or not request.endpoint:
        return
    if session.info.get("recorded"):
        g.act_recorded = True
    # Before the actor is known, only the use of a sign-in is noted.
    if g.get("act_recorded") or "actor" not in g:
        return
    session.flush()
    made: list[Any] = session.info.get("made", [])
    act = act_of(request.endpoint, request.view_args or {})
    if made and all(isinstance(row, Upload) for row in made):
        # Files arrive ahead of what they are for, each in a transaction of its own.
        for upload in made:
            record(session, "upload.create", subject="upload", number=upload.id, title=upload.file_name)
        return
    row = _row_of(session, act, made)
    if row is None and act.number is None and act.verb in _MAKING:
        return
    g.act_recorded = True
    number = row.id if row is not None and act.number is None else act.number
    title = _title_of(row)
    detail: dict[str, Any] = {name: value for name, value in _told().items() if value and value != title}
    rows = made if made or number is not None else session.info.get("touched", [])
    jobs = sorted({each.id for each in rows if isinstance(each, Job) and each is not row})
    if jobs:
        detail["jobs"] = jobs[:20]
    if (others := sorted(set(request.view_args or {}) - {f"{act.noun}_id"})) and number is None:
        detail |= {name: str((request.view_args or {})[name])[:_LONGEST_TOLD] for name in others}
    record(session, f"{act.noun}.{act.verb}", subject=act.noun, number=number, title=title, **detail)


def _row_of(session: Session, act: Act, made: list[Any]) -> Any:
    cls = _NOUNS.get(act.noun)
    if cls is None:
        return None
    if act.number is not None and act.verb not in _MAKING:
        known = [*session.identity_map.values(), *session.info.get("touched", [])]
        return next((row for row in known if isinstance(row, cls) and getattr(row, "id", None) == act.number), None)
    return next((row for row in made if isinstance(row, cls)), None)


def _title_of(row: Any) -> str:
    if isinstance(row, Take):
        return f"seed {row.seed}"
    return str(getattr(row, "title", None) or getattr(row, "name", None) or getattr(row, "file_name", ""))


def _told() -> dict[str, str]:
    """What the request says of itself, of a few fields that are never secret."""
    body: Any = request.get_json(silent=True) if request.is_json else request.form
    if not hasattr(body, "get"):
        return {}
    return {name: str(body.get(name))[:_LONGEST_TOLD] for name in _TOLD if isinstance(body.get(name), str | int)}
