"""What one is told of when jobs end, by which ways, and what became of the messages."""

from __future__ import annotations

from core.notifications import choices, outbox
from core.people.rights import Right
from webui.access import needs
from webui.api.blueprint import api
from webui.api.schemas.common import PageQuery
from webui.api.schemas.notifications import (
    DeliveryListing,
    DeliveryOutput,
    NotificationsOutput,
    NotificationsPatch,
    TestInput,
)
from webui.context import current_services
from webui.identity import current_actor


@api.get("/notifications")
@api.output(NotificationsOutput)
def get_notifications() -> NotificationsOutput:
    """Show of which ends of one's own jobs one is told, and how."""
    with current_services().database.reading() as session:
        return NotificationsOutput.of(choices.choice_of(session, current_actor().name))


@api.patch("/notifications")
@needs(Right.OWN_ACCOUNT)
@api.input(NotificationsPatch)
@api.output(NotificationsOutput)
def change_notifications(json_data: NotificationsPatch) -> NotificationsOutput:
    """Choose what one is told of; a first webhook gets its secret, which is in this answer alone."""
    owner, services = current_actor().name, current_services()
    with services.database.reading() as session:
        wanted = choices.check_choice(session, owner, json_data.model_dump(exclude_none=True), services.settings)
    with services.database.transaction() as session:
        secret = choices.save_choice(session, owner, wanted)
        session.flush()
        return NotificationsOutput.of(choices.choice_of(session, owner), secret)


@api.post("/notifications/secret")
@needs(Right.OWN_ACCOUNT)
@api.output(NotificationsOutput)
@api.doc(responses=[409])
def change_webhook_secret() -> NotificationsOutput:
    """Make a new secret for the webhook; the former one signs too for a day."""
    owner = current_actor().name
    with current_services().database.transaction() as session:
        secret = choices.change_secret(session, owner)
        return NotificationsOutput.of(choices.choice_of(session, owner), secret)


@api.post("/notifications/test")
@needs(Right.OWN_ACCOUNT)
@api.input(TestInput)
@api.output(DeliveryOutput, status_code=202)
@api.doc(responses=[409])
def test_notification(json_data: TestInput) -> tuple[DeliveryOutput, int, dict[str, str]]:
    """Send a message that tells of nothing, to see whether it arrives."""
    owner, services = current_actor().name, current_services()
    with services.database.transaction() as session:
        choices.require_way(session, owner, json_data.way, services.settings)
        answer = DeliveryOutput.of(outbox.note_test(session, owner, json_data.way))
    return answer, 202, {"Location": "/api/v1/notifications/deliveries"}


@api.get("/notifications/deliveries")
@api.input(PageQuery, location="query")
@api.output(DeliveryListing)
def list_deliveries(query_data: PageQuery) -> DeliveryListing:
    """List the e-mails and webhooks of the last 30 days, with what became of them."""
    with current_services().database.reading() as session:
        found = outbox.find_deliveries(
            session, current_actor().name, page=query_data.page, per_page=query_data.per_page
        )
        return DeliveryListing.of(found, DeliveryOutput.of)


@api.post("/notifications/deliveries/<number:delivery_id>/again")
@needs(Right.OWN_ACCOUNT)
@api.output(DeliveryOutput)
@api.doc(responses=[409])
def send_again_delivery(delivery_id: int) -> DeliveryOutput:
    """Send a failed delivery again."""
    with current_services().database.transaction() as session:
        return DeliveryOutput.of(outbox.send_again(session, current_actor().name, delivery_id))
