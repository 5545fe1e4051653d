"""Hostile input: megabytes of garbage, placeholder ids, a template for each person, calls without an end."""

import json
from collections.abc import Iterator
from itertools import chain
from random import Random

from tally.simulator.records import (
    AMI_EVENTS,
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    Json,
    RawRecord,
    as_meta_writes,
    as_producers_write,
)

GARBAGE_BYTES = 1 << 20
TENANT = "tenant-h"
NUMBER = "15550009999"
ONE_CONTACT = 120
"""Sends to different people under one placeholder contact."""
TEMPLATES = 600
LINKED = 60
"""Phones linked by one placeholder user id; far more than one person has."""
CALLS = 1_500
"""Calls of one PBX without a hangup; a later list of its channels shows none of them."""
PBX = "pbx-h"


def hostile(rng: Random, start_s: int) -> list[RawRecord]:
    """Return records that once stopped or misled a worker, shuffled except for the end of the calls."""
    parts = (garbage(), placeholders(start_s), templates(start_s), one_contact(start_s))
    records = list(chain.from_iterable(parts))
    rng.shuffle(records)
    return records


def garbage() -> Iterator[RawRecord]:
    """Yield bodies of a megabyte each, with lists of unreadable elements."""
    places: list[Json] = [
        {"entry": "LIST"},
        {"entry": [{"changes": "LIST"}]},
        {"entry": [{"changes": [{"field": "messages", "value": _value(statuses="LIST")}]}]},
        {"entry": [{"changes": [{"field": "messages", "value": _value(messages="LIST")}]}]},
    ]
    for place in places:
        body = json.dumps({"object": "whatsapp_business_account", **place})
        for item in ("1", "{}", "[]", '""'):
            filled = "[" + ",".join([item] * (GARBAGE_BYTES // (len(item) + 1))) + "]"
            yield RawRecord(WEBHOOK_EVENTS, None, body.replace('"LIST"', filled).encode())


def placeholders(start_s: int) -> Iterator[RawRecord]:
    """Yield sends to many people, and webhooks with one user id for all of them."""
    for nth in range(LINKED):
        phone, wamid = f"3161000{nth:04d}", f"wamid.placeholder-{nth}"
        yield _send(start_s, f"person-{nth}", wamid, "placeholder", {"phone": f"+{phone}"})
        contact = {"wa_id": phone, "user_id": "0"}
        status = {"id": wamid, "status": "delivered", "timestamp": str(start_s + 60), "recipient_id": phone}
        yield _webhook(_value(contacts=[contact], statuses=[status]))
        if nth % 3 == 0:
            message = {"id": f"wamid.in-{nth}", "from": phone, "timestamp": str(start_s + 90), "type": "text"}
            yield _webhook(_value(contacts=[contact], messages=[message]))


def templates(start_s: int) -> Iterator[RawRecord]:
    """Yield sends of a producer that puts the rendered text in place of the template's name."""
    for nth in range(TEMPLATES):
        contact = {"phone": f"+3162000{nth:04d}"}
        yield _send(start_s, f"reader-{nth}", f"wamid.text-{nth}", "rendered", contact, f"Dear {nth}, hello")


def one_contact(start_s: int) -> Iterator[RawRecord]:
    """Yield sends of a producer that calls everybody `unknown`."""
    for nth in range(ONE_CONTACT):
        contact = {"phone": f"+3163000{nth:04d}"}
        yield _send(start_s, "unknown", f"wamid.unknown-{nth}", "unknown", contact)


def day_without_hangups(start_s: int) -> list[RawRecord]:
    """Return calls that begin and are answered, then a list of channels by which all are over."""
    listed = {"EventList": "Complete", "ListItems": "0", "ActionID": "list-1"}
    calls = [record for nth in range(CALLS) for record in _call(nth, start_s)]
    return [*calls, _ami(start_s + CALLS + 60, "CoreShowChannelsComplete", listed)]


def _call(nth: int, start_s: int) -> Iterator[RawRecord]:
    at_s, unique = start_s + nth, f"{PBX}-{nth}.1"
    channel = {"Channel": f"PJSIP/h-{nth:08x}", "Uniqueid": unique, "Linkedid": unique}
    named = {"ChanVariable": f"CAMPAIGN_ID=endless\r\nChanVariable: CONTACT_ID=caller-{nth}"}
    yield _ami(at_s, "Newchannel", {**channel, "ChannelState": "0", "ChannelStateDesc": "Down", **named})
    yield _ami(at_s + 5, "Newstate", {**channel, "ChannelState": "6", "ChannelStateDesc": "Up", **named})


def _ami(at_s: int, event: str, fields: dict[str, str]) -> RawRecord:
    lines = {"Event": event, "Timestamp": f"{at_s}.000000", **fields}
    packet = "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    headers = {"pbx": PBX, "tenant": TENANT, "received_at": str(at_s * 1000)}
    own = tuple((name, value.encode()) for name, value in headers.items())
    return RawRecord(AMI_EVENTS, PBX.encode(), packet.encode(), own)


def _value(**parts: object) -> Json:
    return {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}, **parts}


def _webhook(value: Json) -> RawRecord:
    change = {"field": "messages", "value": value}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    return RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(body))


def _send(
    start_s: int, contact: str, wamid: str, campaign: str, who: Json, template: str = "hello"
) -> RawRecord:
    result = {
        "tenant": TENANT,
        "channel": "whatsapp",
        "campaign": campaign,
        "contact": {"id": contact, **who},
        "template": {"name": template, "language": "en"},
        "phone_number_id": NUMBER,
        "outcome": "accepted",
        "message_id": wamid,
        "time": start_s * 1000,
    }
    return RawRecord(SEND_RESULTS, None, as_producers_write(result))
