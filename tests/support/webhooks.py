"""Builders of webhook bodies around the parts that a test needs."""

from typing import Any

import orjson

NUMBER = "106540352242922"


def body(*changes: dict[str, Any]) -> bytes:
    entry = {"id": "102290129340398", "changes": list(changes)}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]})


def messages(number: str = NUMBER, **value: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": "15550783881", "phone_number_id": number}
    return {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}


def status(**fields: Any) -> dict[str, Any]:
    return {
        "id": "wamid.1",
        "status": "sent",
        "timestamp": "1750030073",
        "recipient_id": "16505551234",
    } | fields


def message(**fields: Any) -> dict[str, Any]:
    return {"from": "16505551234", "id": "wamid.in", "timestamp": "1750030099", "type": "text"} | fields
