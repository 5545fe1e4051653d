"""Send results and webhooks of WhatsApp as (topic, value), around the parts that a test needs."""

import json
from typing import Any

Event = tuple[str, bytes | None]

NOW = 1_795_350_000  # unix seconds
WEEK = 604_800
PHONE = "31600000001"


def send(
    outcome: str = "accepted",
    message_id: str | None = None,
    at: float = NOW,
    campaign: Any = "c1",
    **fields: Any,
) -> Event:
    """Return a send result of WhatsApp."""
    body: dict[str, Any] = {
        "tenant": "t1",
        "channel": "whatsapp",
        "campaign": campaign,
        "contact": {"id": "a", "phone": f"+{PHONE}"},
        "template": {"name": "promo", "language": "nl"},
        "phone_number_id": "n1",
        "outcome": outcome,
        "time": int(at * 1000),
        **fields,
    }
    if message_id:
        body["message_id"] = message_id
    if outcome == "failed":
        body.setdefault("error", {"source": "meta", "code": 132000})
    if outcome in ("skipped", "cancelled"):
        body.setdefault("reason", "opted_out")
    return "send-results", json.dumps(body).encode()


def template(name: str) -> dict[str, Any]:
    """Return a template as send results name it."""
    return {"name": name, "language": "nl"}


def contact(name: str, phone: str = PHONE, **more: str) -> dict[str, Any]:
    """Return a contact as send results name it."""
    return {"id": name, "phone": phone, **more}


def hook(field: str = "messages", number: str = "n1", **value: Any) -> Event:
    """Return a webhook with one change."""
    change = {"field": field, "value": {"metadata": {"phone_number_id": number}, **value}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": [change]}]}
    return "webhook-events", json.dumps(body).encode()


def a_status(message_id: str, status: str, at: int = NOW, **fields: Any) -> dict[str, Any]:
    """Return a status as a webhook holds it."""
    return {"id": message_id, "status": status, "timestamp": str(at), **fields}


def status(message_id: str, status: str, at: int = NOW, number: str = "n1", **fields: Any) -> Event:
    """Return a webhook with one status."""
    return hook(number=number, statuses=[a_status(message_id, status, at, **fields)])


def inbound(
    at: int = NOW + 60, type: str = "text", number: str = "n1", sender: str | None = None, **fields: Any
) -> Event:
    """Return a webhook with one message of a customer, by default of `PHONE`."""
    by_default = None if "from_user_id" in fields else PHONE
    who = {"from": sender or by_default}
    message = {"id": f"in-{at}-{type}", "type": type, "timestamp": str(at), **who, **fields}
    return hook(number=number, messages=[message])
