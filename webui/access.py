"""The wall before every view: who asks, whether the view is for this one, and whose thing its address names.

A view says nothing and gets the usual: looking needs `Right.VIEW`, changing needs `Right.CHANGE`, and a thing that the
address names (`job_id`, `take_id`, ...) may be changed by its owner and by administrators. Decorators say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from flask import Flask, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select
from werkzeug.urls import iri_to_uri

from core.errors import AccessError, NotFoundError, SignInError
from core.models.datasets import Dataset, Piece
from core.models.evaluations import Evaluation
from core.models.generations import Generation, Take
from core.models.jobs import Job
from core.models.notifications import Delivery
from core.models.trainings import Model, Training
from core.models.uploads import Upload
from core.people.rights import Actor, Right
from webui.context import current_services
from webui.operations import OPEN_ENDPOINTS
from webui.problems import wants_json
from webui.sign_in import VIA_BROWSER, actor_of_request

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# These tell nothing about anybody and must not need the database.
_ALWAYS_PUBLIC = OPEN_ENDPOINTS | {"assets.send_asset", "bootstrap.static", "openapi.spec", "static"}

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """What a view asks of those who come."""

    public: bool = False
    right: Right | None = None
    names_others: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing that addresses name; `shown` ones are everybody's to look at, whatever the setting."""

    noun: str
    owner: Callable[[int], Select[str]]
    shown: bool = False
    always_private: bool = False


KINDS = {
    "job_id": Kind("job", lambda number: select(Job.owner).where(Job.id == number), shown=True),
    "dataset_id": Kind("dataset", lambda number: select(Dataset.owner).where(Dataset.id == number), shown=True),
    "piece_id": Kind("piece", lambda number: select(Dataset.owner).join(Piece).where(Piece.id == number), shown=True),
    "model_id": Kind("model", lambda number: select(Model.owner).where(Model.id == number), shown=True),
    "evaluation_id": Kind(
        "evaluation", lambda number: select(Evaluation.owner).where(Evaluation.id == number), shown=True
    ),
    "training_id": Kind("training", lambda number: select(Training.owner).where(Training.id == number)),
    "generation_id": Kind("generation", lambda number: select(Generation.owner).where(Generation.id == number)),
    "take_id": Kind("take", lambda number: select(Generation.owner).join(Take).where(Take.id == number)),
    "notice_id": Kind(
        "notice", lambda number: select(Delivery.owner).where(Delivery.id == number), always_private=True
    ),
    "upload_id": Kind("upload", lambda number: select(Upload.owner).where(Upload.id == number), always_private=True),
}
"""By the name of the argument in the address."""


def public(view: View) -> View:
    """A view for everybody, signed in or not."""
    return _declare(view, public=True)


def needs(right: Right) -> Callable[[View], View]:
    """A view that needs another right than the usual one."""
    return lambda view: _declare(view, right=right)


def names_others(view: View) -> View:
    """A changing view that only reads the thing which its address names, so that it may be another's."""
    return _declare(view, names_others=True)


def access_of(endpoint: str | None) -> Access:
    """What the view of an endpoint asks for."""
    view = current_app.view_functions.get(endpoint or "")
    declared: Access = getattr(view, "_access", Access())
    return replace(declared, public=True) if endpoint in _ALWAYS_PUBLIC else declared


def attach_access(app: Flask) -> None:
    """Put the wall before every view of `app`."""
    app.before_request(_let_in)


def _let_in() -> ResponseReturnValue | None:
    access = access_of(request.endpoint)
    if request.endpoint in _ALWAYS_PUBLIC:
        return None
    g.actor = actor = actor_of_request()
    if access.public or request.endpoint is None:
        return None
    if not actor.scopes:
        if wants_json() or request.method not in SAFE_METHODS or "_part" in request.args:
            raise SignInError("Sign in first, or send a token as 'Authorization: Bearer ...'.")
        return redirect(url_for("sign_in.form", next=iri_to_uri(request.full_path.rstrip("?"))))
    changes = request.method not in SAFE_METHODS
    actor.require(access.right or (Right.CHANGE if changes else Right.VIEW))
    if changes and actor.via == VIA_BROWSER:
        _refuse_unasked()
    if not actor.may(Right.CHANGE_OTHERS):
        for name, number in (request.view_args or {}).items():
            if name in KINDS:
                _check_thing(actor, KINDS[name], number, changes=changes and not access.names_others)
    return None


def _refuse_unasked() -> None:
    """A cookie comes along with whatever any page makes the browser send; the browser says which page it was."""
    if (
        "Origin" not in request.headers
        and request.headers.get("Sec-Fetch-Site") != "same-origin"
        and (request.path.startswith("/api/"))
    ):
        raise AccessError("A change by cookie must come from a page of Cadenza; programs send a token instead.")


def _check_thing(actor: Actor, kind: Kind, number: int, *, changes: bool) -> None:
    with current_services().database.reading(all_rows=True) as session:
        owner = session.scalar(kind.owner(number))
    if owner is None:
        return  # the view says so in its own words
    sees = owner == actor.name if kind.always_private else actor.may_see(owner)
    if not (sees or kind.shown):
        raise NotFoundError(f"There is no {kind.noun} {number}.")
    if changes:
        actor.require_change(owner, f"{kind.noun} {number}")


def _declare(view: View, **access: Any) -> View:
    declared: Access = view.__dict__.get("_access", Access())
    view.__dict__["_access"] = replace(declared, **access)
    return view
