"""What one is told of, and the deliveries."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from core.fields import setting
from core.models.notifications import Delivery, DeliveryState, NotificationChoice, Way
from core.notifications.addresses import LONGEST_URL
from core.notifications.choices import settings_of
from webui.api.schemas.common import ApiInput, ApiOutput, Listing, Moment


class NotificationsPatch(ApiInput):
    """What to change; what is left out stays."""

    finished: bool | None = setting(None, "Jobs that succeeded", "Whether these are told.")
    failed: bool | None = setting(None, "Jobs that failed", "Whether these are told.")
    min_minutes: float | None = setting(
        None, "Only after", "Jobs that succeed sooner after they were asked for are not told.", ge=0, le=10_080
    )
    browser: bool | None = setting(None, "In the browser", "While a page is open.")
    email: bool | None = setting(None, "By e-mail")
    email_address: str | None = setting(None, "E-mail address", "Empty: that of the account.", max_length=254)
    webhook: bool | None = setting(None, "By webhook")
    webhook_url: str | None = setting(None, "Webhook", "A signed POST goes to this address.", max_length=LONGEST_URL)


class NotificationsOutput(ApiOutput):
    """What one is told of, and how."""

    finished: bool
    failed: bool
    min_minutes: float
    browser: bool
    email: bool
    email_address: str
    webhook: bool
    webhook_url: str
    has_secret: bool = Field(description="Whether there is a secret that webhooks are signed with.")
    secret: str | None = Field(description="The webhook's secret, in the answer that made it and nowhere else.")

    @classmethod
    def of(cls, choice: NotificationChoice | None, secret: str = "") -> Self:
        """A choice as the API shows it."""
        has_secret = choice is not None and bool(choice.webhook_secret)
        return cls(**settings_of(choice).model_dump(), has_secret=has_secret, secret=secret or None)


class TestInput(ApiInput):
    """Which way is tried."""

    way: Way = setting(..., "Way", "browser, email or webhook.", choices={way.value: way.value for way in Way})


class DeliveryOutput(ApiOutput):
    """One message by one way."""

    id: int
    message_id: str = Field(description="The same at each attempt; webhooks carry it as webhook-id.")
    way: Way
    event: str = Field(description='"job.finished", "job.failed" or "test".')
    job: dict[str, Any] | None = Field(description="What is told of the job.")
    state: DeliveryState
    attempts: int
    due_at: Moment | None = Field(description="When it is tried next; null is at once.")
    answer: int | None = Field(description="The last HTTP or SMTP status.")
    error: str = Field(description="Why the last attempt failed.")
    created_at: Moment
    ended_at: Moment | None

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """A delivery as the API shows it."""
        values = {name: getattr(delivery, name) for name in cls.model_fields if name != "job"}
        return cls(job=delivery.content or None, **values)


class DeliveryListing(Listing[DeliveryOutput]):
    """A page of deliveries, the newest first."""
