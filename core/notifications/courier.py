"""Sends what waits in the outbox; for the maintenance process, and harmless in two at once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import select

from core.models.notifications import Delivery, Way
from core.models.people import Person
from core.notifications.attempts import Result, record_result, take_due
from core.notifications.choices import choice_of, email_address_of, may_be_internal, secrets_of
from core.notifications.mail_server import connected, send
from core.notifications.messages import base_address, mail, webhook_body
from core.notifications.webhooks import Post, post_all
from core.records.database import Database
from core.settings import Settings

_WEBHOOKS_AT_ONCE = 20
_WEBHOOKS_OF_ONE = 5
_MAILS_AT_ONCE = 200
_BETWEEN_MAILS = timedelta(minutes=1)
_logger = logging.getLogger(__name__)


class Courier:
    """Makes one attempt at what is due, each time it is asked to."""

    def __init__(self, database: Database, settings: Settings, between_mails: timedelta = _BETWEEN_MAILS) -> None:
        self._database = database
        self._settings = settings
        self._between_mails = between_mails

    def rounds(self) -> list[Callable[[], int]]:
        """One round for each way; they may wait for others' servers, so let each have a thread of its own."""
        return [self.send_webhooks, self.send_mails]

    def send_webhooks(self) -> int:
        """Send the webhooks that are due; how many were tried."""
        taken = take_due(self._database, Way.WEBHOOK, most=_WEBHOOKS_AT_ONCE, most_of_one=_WEBHOOKS_OF_ONE)
        base = base_address(self._settings)
        posts: list[tuple[Delivery, Post]] = []
        with self._database.reading() as session:
            internal = may_be_internal(session, self._settings)
            absent = _absent(self._database, taken)
            for each in taken:
                choice = choice_of(session, each.owner)
                if each.owner in absent or choice is None or not choice.webhook_url:
                    self._give_up(each, "There is no webhook any more.")
                    continue
                body = webhook_body(each, base)
                posts.append((each, Post(choice.webhook_url, each.message_id, body, tuple(secrets_of(choice)))))
        results = post_all([post for _, post in posts], internal=internal) if posts else []
        for (each, _), result in zip(posts, results, strict=True):
            self._record(each, result)
        return len(taken)

    def send_mails(self) -> int:
        """Send the e-mails that are due, one to each person about all that waits; how many deliveries were tried."""
        taken = take_due(
            self._database,
            Way.EMAIL,
            most=_MAILS_AT_ONCE,
            most_of_one=_MAILS_AT_ONCE,
            calm=self._between_mails,
        )
        if not taken:
            return 0
        of_owner: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
        for each in taken:
            # A test is a message of its own.
            of_owner[each.owner, each.message_id if not each.content else ""].append(each)
        absent = _absent(self._database, taken)
        with self._database.reading() as session:
            receivers = {owner: email_address_of(session, owner) for owner, _ in of_owner}
        waiting = []
        for (owner, _), deliveries in of_owner.items():
            if owner in absent or not receivers[owner]:
                for each in deliveries:
                    self._give_up(each, "There is no e-mail address any more.")
            elif not self._settings.smtp_host:
                for each in deliveries:
                    self._give_up(each, "This Cadenza sends no e-mail; an administrator sets CADENZA_SMTP_HOST.")
            else:
                waiting.append((receivers[owner], deliveries))
        if waiting:
            self._mail(waiting)
        return len(taken)

    def _mail(self, waiting: Sequence[tuple[str, list[Delivery]]]) -> None:
        base = base_address(self._settings)
        done = 0
        try:
            with connected(self._settings) as server:
                for receiver, deliveries in waiting:
                    try:
                        result = send(server, mail(deliveries, self._settings.smtp_from, receiver, base))
                    except ValueError as error:
                        result = Result(error=f"Not sent: {error}", final=True)
                    for each in deliveries:
                        self._record(each, result)
                    done += 1
        except OSError as error:
            words = f"The mail server {self._settings.smtp_host} cannot be used: {error or type(error).__name__}"
            for _, deliveries in waiting[done:]:
                for each in deliveries:
                    self._record(each, Result(error=words))

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        self._record(delivery, Result(error=reason, final=True))

    def _record(self, delivery: Delivery, result: Result) -> None:
        if result.error:
            _logger.warning("delivery %d by %s did not arrive: %s", delivery.id, delivery.way.value, result.error)
        record_result(self._database, delivery, result)


def _absent(database: Database, taken: Sequence[Delivery]) -> set[str]:
    """Owners among those of `taken` whose accounts are disabled: they are told of nothing."""
    owners = {each.owner for each in taken}
    with database.reading() as session:
        return set(session.scalars(select(Person.name).where(Person.name.in_(owners), Person.disabled)))
