"""What one is told of, by which ways, and what was sent; and the news that open pages show."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import CadenzaError, InputError
from core.models.notifications import Way
from core.notifications import choices, outbox
from core.notifications.attempts import PAUSES
from core.notifications.messages import detail, headline
from core.people.rights import Right
from webui.access import needs
from webui.context import current_services
from webui.forms import field_errors, form_fields, form_values, text_values
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page
from webui.problems import problem_of

bp = Blueprint("notifications", __name__, url_prefix="/account/notifications")

_PER_PAGE = 20


@bp.get("")
def show() -> Response:
    """One's choice, tests, and the last deliveries."""
    return _page()


@bp.post("")
@needs(Right.OWN_ACCOUNT)
def save() -> ResponseReturnValue:
    """Store the choice; a first webhook gets its secret, which is shown this once."""
    owner, services = current_actor().name, current_services()
    values = form_values(choices.NotificationSettings)
    try:
        with services.database.reading() as session:
            wanted = choices.check_choice(session, owner, values, services.settings)
        with services.database.transaction() as session:
            secret = choices.save_choice(session, owner, wanted)
    except CadenzaError as error:
        return _page(error)
    if secret:
        return _page(new_secret=secret)
    return done("Saved.", url_for("notifications.show"))


@bp.post("/secret")
@needs(Right.OWN_ACCOUNT)
def secret() -> ResponseReturnValue:
    """Make a new secret for the webhook, and show it this once."""
    with current_services().database.transaction() as session:
        made = choices.change_secret(session, current_actor().name)
    return _page(new_secret=made, changed=True)


@bp.post("/test")
@needs(Right.OWN_ACCOUNT)
def test() -> ResponseReturnValue:
    """Send a message that tells of nothing."""
    owner, services = current_actor().name, current_services()
    way = way_named(request.form.get("way", ""))
    with services.database.transaction() as session:
        choices.require_way(session, owner, way, services.settings)
        outbox.note_test(session, owner, way)
    words = "It is shown here in a moment." if way is Way.BROWSER else "What becomes of it is shown below."
    return done(f"The test is on its way. {words}", url_for("notifications.show"), stay=True)


@bp.post("/deliveries/<number:delivery_id>/again")
@needs(Right.OWN_ACCOUNT)
def again(delivery_id: int) -> ResponseReturnValue:
    """Send a failed delivery again."""
    with current_services().database.transaction() as session:
        outbox.send_again(session, current_actor().name, delivery_id)
    return done("It is sent again.", url_for("notifications.show"), stay=True)


@bp.get("/news")
def news() -> Response:
    """What open pages show now: messages after the number `after`, or only the newest number without one."""
    owner = current_actor().name
    with current_services().database.reading() as session:
        choice = choices.choice_of(session, owner)
        items = outbox.notices_after(session, owner, number_arg("after", 0)) if request.args.get("after") else []
        last = items[-1].id if items else outbox.last_notice_id(session, owner)
    return jsonify(
        wanted=choice is not None and choice.browser,
        last=last,
        items=[
            {
                "id": each.id,
                "title": headline(each),
                "text": detail(each),
                "bad": each.event == outbox.FAILED,
                "href": url_for("jobs.show", job_id=each.content["id"])
                if each.content
                else url_for("notifications.show"),
            }
            for each in items
        ],
    )


def way_named(name: str) -> Way:
    """The way of a name.

    Raises:
        InputError: there is none of this name.
    """
    try:
        return Way(name)
    except ValueError:
        raise InputError.of("way", f"way: {name[:40]!r} is unknown; allowed are {', '.join(Way)}.") from None


def _page(error: CadenzaError | None = None, new_secret: str = "", *, changed: bool = False) -> Response:
    owner, services = current_actor().name, current_services()
    with services.database.reading() as session:
        choice = choices.choice_of(session, owner)
        stored = text_values(choices.settings_of(choice).model_dump())
        return page(
            "people/notifications.html",
            status=200 if error is None else problem_of(error).status,
            fields={field.name: field for field in form_fields(choices.NotificationSettings)},
            values={**stored, **form_values(choices.NotificationSettings)} if error is not None else stored,
            errors=field_errors(error),
            saved=choice,
            new_secret=new_secret,
            secret_changed=changed,
            former_hours=choices.FORMER_SECRET_HOURS,
            account_address=choices.account_address(session, owner),
            mail_server=services.settings.smtp_host,
            found=outbox.find_deliveries(session, owner, page=number_arg("page"), per_page=_PER_PAGE),
            headline=headline,
            most_attempts=len(PAUSES) + 1,
            kept_days=outbox.KEPT_DAYS,
        )
