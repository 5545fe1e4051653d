"""Publish as a sender does: a send result for each message, and each webhook as it came.

    python examples/producer.py 127.0.0.1:9092 my-campaign 20

Keys and order do not matter, and publishing again counts nothing twice. A producer must keep each event until
Kafka has acknowledged it. docs/producers.md says what every field means.
"""

import asyncio
import json
import sys
import time
from typing import Any

from aiokafka import AIOKafkaProducer

NUMBER = "106540352242922"
"""The business number: `phone_number_id` in Meta's webhooks."""


def send_result(campaign: str, contact: int, at_ms: int) -> dict[str, Any]:
    """Return the send result of a message that WhatsApp has accepted."""
    return {
        "tenant": "example",
        "channel": "whatsapp",
        "campaign": campaign,
        "contact": {"id": contact, "wa_id": f"55538{contact:08d}"},
        "attempt": 1,
        "template": {"name": "promo_nov", "language": "pt_BR"},
        "phone_number_id": NUMBER,
        "outcome": "accepted",
        "message_id": f"wamid.{campaign}.{contact}",
        "time": at_ms,  # unix milliseconds, or RFC 3339 with a zone
    }


def webhook(campaign: str, contact: int, status: str, at_s: int) -> dict[str, Any]:
    """Return a body as Meta posts it; publish a real one byte for byte, without parsing it."""
    told = {
        "id": f"wamid.{campaign}.{contact}",
        "status": status,
        "timestamp": str(at_s),
        "recipient_id": f"55538{contact:08d}",
    }
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}, "statuses": [told]}
    entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


async def main(brokers: str, campaign: str, contacts: int, prefix: str = "") -> None:
    """Publish a campaign in which every message is delivered and every second one is read."""
    at_ms = time.time_ns() // 1_000_000
    events = [("send-results", send_result(campaign, contact, at_ms)) for contact in range(contacts)]
    events += [
        ("webhook-events", webhook(campaign, contact, status, at_ms // 1000))
        for contact in range(contacts)
        for status in ("sent", "delivered", *(["read"] if contact % 2 else []))
    ]
    # acks=all makes an acknowledged record durable; idempotence keeps a retry from publishing it twice.
    producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        sent = [await producer.send(prefix + topic, json.dumps(body).encode()) for topic, body in events]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    print(f"{len(events)} events are safe")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:5]))
