"""Notifications over the API."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from core.models.notifications import Delivery, DeliveryState
from tests.tools.web_content import WebContent

HOOK = "http://127.0.0.1:9/hook"


def test_a_program_chooses_tests_and_sends_again(api: Any, content: WebContent) -> None:
    before = api.get("/notifications")
    assert (before["webhook"], before["has_secret"], before["secret"]) == (False, False, None)
    made = api.ask("PATCH", "/notifications", json={"webhook": True, "webhook_url": HOOK, "finished": False}).json
    assert made["secret"].startswith("whsec_")
    after = api.get("/notifications")
    assert after == {**made, "secret": None}
    assert (after["finished"], after["failed"], after["min_minutes"]) == (False, True, 1.0)
    assert api.ask("PATCH", "/notifications", json={"min_minutes": 0}).json["secret"] is None
    assert api.bare("/notifications/secret", 200)["secret"] not in {None, made["secret"]}
    delivery = api.post("/notifications/test", {"way": "webhook"})
    assert (delivery["state"], delivery["event"], delivery["job"]) == ("waiting", "test", None)
    assert api.refused("POST", f"/notifications/deliveries/{delivery['id']}/again", 409)[0].startswith("Delivery")
    with content.database.transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.FAILED, answer=500, error="no"))
    assert api.get("/notifications/deliveries")["items"][0]["error"] == "no"
    assert api.bare(f"/notifications/deliveries/{delivery['id']}/again", 200)["state"] == "waiting"


def test_refusals_name_the_field(api: Any) -> None:
    _, fields = api.refused("PATCH", "/notifications", 422, json={"webhook": True, "email": True})
    assert set(fields) == {"webhook_url", "email"}
    _, fields = api.refused("PATCH", "/notifications", 422, json={"min_minutes": True})
    assert set(fields) == {"min_minutes"}
    assert set(api.refused("POST", "/notifications/test", 422, json={"way": "pigeon"})[1]) == {"way"}
    assert "no webhook" in api.refused("POST", "/notifications/secret", 409)[0]
    api.refused("POST", "/notifications/deliveries/9/again", 404)
