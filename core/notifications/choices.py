"""What somebody wants to be told of, and by which ways."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import ConflictError, FieldProblem, InputError
from core.fields import PersonSettings, setting
from core.models.base import utc_now
from core.models.notifications import NotificationChoice, Way
from core.models.people import Person
from core.notifications.addresses import LONGEST_URL, check_webhook_url
from core.notifications.signing import new_webhook_secret
from core.people.accounts import accounts_are_on, check_email
from core.settings import Settings

FORMER_SECRET_HOURS = 24
"""How long the former secret signs beside a new one."""


class NotificationSettings(PersonSettings):
    """Of which ends of one's own jobs one is told, and how."""

    finished: bool = setting(True, "Jobs that succeeded", "Tell me when a job of mine is done.")
    failed: bool = setting(True, "Jobs that failed", "Tell me when a job of mine failed, with the reason.")
    min_minutes: float = setting(
        1.0,
        "Only after",
        "Jobs that succeed sooner than this after they were asked for are not told; failures always are.",
        unit="minutes",
        ge=0,
        le=10_080,
    )
    browser: bool = setting(False, "In the browser", "While a page of Cadenza is open.")
    email: bool = setting(False, "By e-mail")
    email_address: str = setting("", "E-mail address", "Empty: that of your account, if you have one.", max_length=254)
    webhook: bool = setting(False, "By webhook")
    webhook_url: str = setting("", "Webhook", "A signed POST goes to this address.", max_length=LONGEST_URL)


def settings_of(choice: NotificationChoice | None) -> NotificationSettings:
    """The choice as its form shows it; of somebody who never chose, nothing is on."""
    if choice is None:
        return NotificationSettings()
    return NotificationSettings(**{name: getattr(choice, name) for name in NotificationSettings.model_fields})


def choice_of(session: Session, owner: str) -> NotificationChoice | None:
    """What an owner of jobs chose; None for nothing yet."""
    return session.get(NotificationChoice, owner)


def check_choice(session: Session, owner: str, values: dict[str, Any], settings: Settings) -> NotificationSettings:
    """What an owner's choice becomes with `values` changed; may ask for the webhook's name, so hold no lock meanwhile.

    Raises:
        InputError: a value is refused, a way has no address, or the installation sends no e-mail.
    """
    before = settings_of(choice_of(session, owner))
    wanted = NotificationSettings.parse({**before.model_dump(), **values})
    problems = []
    if wanted.email and not settings.smtp_host:
        problems.append(
            FieldProblem("email", "email: this Cadenza sends no e-mail; an administrator sets CADENZA_SMTP_HOST.")
        )
    elif wanted.email and not (wanted.email_address or account_address(session, owner)):
        problems.append(FieldProblem("email_address", "email_address: a value is required to be told by e-mail."))
    if wanted.webhook and not wanted.webhook_url:
        problems.append(FieldProblem("webhook_url", "webhook_url: a value is required to be told by webhook."))
    try:
        check_email(wanted.email_address)
    except InputError as error:
        problems += [FieldProblem("email_address", f"email_address: {error.problems[0].message.partition(': ')[2]}")]
    if wanted.webhook_url and wanted.webhook_url != before.webhook_url:
        try:
            check_webhook_url(wanted.webhook_url, internal=may_be_internal(session, settings))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return wanted


def save_choice(session: Session, owner: str, wanted: NotificationSettings) -> str:
    """Store a checked choice; the webhook's secret when one was made now, to be shown this once, else empty."""
    row = _locked_choice(session, owner)
    for name, value in wanted.model_dump().items():
        setattr(row, name, value)
    if not row.webhook_url or row.webhook_secret:
        return ""
    row.webhook_secret = new_webhook_secret()
    return row.webhook_secret


def change_secret(session: Session, owner: str) -> str:
    """A new secret for the webhook, shown this once; the former one signs too for `FORMER_SECRET_HOURS`.

    Raises:
        ConflictError: there is no webhook.
    """
    row = _locked_choice(session, owner)
    if not row.webhook_url:
        raise ConflictError("There is no webhook; save its address first.")
    row.former_secret, row.webhook_secret = row.webhook_secret, new_webhook_secret()
    row.secret_changed_at = utc_now()
    return row.webhook_secret


def secrets_of(choice: NotificationChoice) -> list[str]:
    """The secrets that sign now, the present one first."""
    changed = choice.secret_changed_at
    is_new = changed is not None and utc_now() - changed < timedelta(hours=FORMER_SECRET_HOURS)
    return [secret for secret in (choice.webhook_secret, choice.former_secret if is_new else "") if secret]


def require_way(session: Session, owner: str, way: Way, settings: Settings) -> None:
    """Refuse to try a way that has no address yet.

    Raises:
        ConflictError: says what is missing.
    """
    choice = choice_of(session, owner)
    if way is Way.WEBHOOK and (choice is None or not choice.webhook_url):
        raise ConflictError("There is no webhook to test; save its address first.")
    if way is Way.EMAIL and not settings.smtp_host:
        raise ConflictError("This Cadenza sends no e-mail; an administrator sets CADENZA_SMTP_HOST.")
    if way is Way.EMAIL and not email_address_of(session, owner):
        raise ConflictError("There is no e-mail address to test; save one first.")


def account_address(session: Session, owner: str) -> str:
    """The e-mail address of a person's account; empty without one."""
    return session.scalar(select(Person.email).where(Person.name == owner)) or ""


def email_address_of(session: Session, owner: str) -> str:
    """Where an owner's e-mails go; empty where that is not known."""
    choice = choice_of(session, owner)
    return (choice.email_address if choice is not None else "") or account_address(session, owner)


def may_be_internal(session: Session, settings: Settings) -> bool:
    """Whether webhooks may lie in the own network: without accounts the one user reaches it anyway."""
    return settings.internal_webhooks or not accounts_are_on(session)


def _locked_choice(session: Session, owner: str) -> NotificationChoice:
    statement = select(NotificationChoice).where(NotificationChoice.owner == owner).with_for_update()
    row = session.scalars(statement.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        row = NotificationChoice(owner=owner, webhook_secret="")
        session.add(row)
    return row
