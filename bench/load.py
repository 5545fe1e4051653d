"""The load of every contender: send results and real webhook bodies of many campaigns, in order of time."""

from base64 import b64encode
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from tally.simulator.records import (
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    Json,
    RawRecord,
    as_meta_writes,
    as_producers_write,
)
from tally.simulator.samples import sample, value_of

STATUS_BODIES = {
    "sent": "pywa__message_status__sent",
    "delivered": "metadoc__messages__1",
    "read": "pywa__message_status__read",
    "failed": "pywa__message_status__failed",
}
SCOPED = ("user_id", "parent_user_id")
"""Business-scoped ids are left out: the peers only know phones."""
FATES = ((70, ("sent", "delivered", "read")), (24, ("sent", "delivered")), (6, ("sent", "failed")))
LATER_S = {"sent": (1, 2), "delivered": (2, 20), "read": (20, 300), "failed": (1, 20)}
REPLY_SHARE = 0.1
REPLY_LATER_S = (30, 600)
DUPLICATE_SHARE = 0.02
TEMPLATES = (("promo_nov", "pt_BR"), ("promo_nov", "en_US"), ("order_update", "en_US"))
START_S = 1_762_000_000


class Size(NamedTuple):
    """The size of a load: `messages` over campaigns of tenants, each tenant with its own business numbers."""

    messages: int
    tenants: int = 4
    campaigns_per_tenant: int = 5
    numbers_per_tenant: int = 4
    messages_per_second: int = 300


class Message(NamedTuple):
    """One accepted send."""

    nth: int
    tenant: str
    campaign: str
    template: tuple[str, str]
    number: str
    phone: str
    wamid: str
    at_s: int


def load(size: Size, seed: int) -> list[RawRecord]:
    """Return raw records in the order in which they would be published; about 3.8 a message."""
    rng = Random(seed)
    timed: list[tuple[float, int, RawRecord]] = []
    for nth in range(size.messages):
        for at_s, record in _of(rng, _message(rng, size, nth)):
            timed.append((at_s + rng.random(), len(timed), record))
            if rng.random() < DUPLICATE_SHARE:
                timed.append((at_s + 30.0, len(timed), record))
    return [record for _, _, record in sorted(timed, key=lambda one: one[:2])]


def _message(rng: Random, size: Size, nth: int) -> Message:
    tenant = rng.randrange(size.tenants)
    number = rng.randrange(size.numbers_per_tenant)
    phone = f"55119{nth % (size.messages * 4 // 5 + 1):08d}"
    # A decoded wamid of Meta has the same form: the recipient's digits, and an id in hexadecimal.
    serial = rng.randbytes(9).hex().upper().encode()
    raw = b"\x1c\x18\x0d" + phone.encode() + b"\x15\x02\x00\x11\x18\x12" + serial + b"\x00"
    return Message(
        nth,
        f"tenant-{tenant}",
        f"campaign-{rng.randrange(size.campaigns_per_tenant)}",
        rng.choice(TEMPLATES),
        f"10654035{tenant:03d}{number:04d}",
        phone,
        "wamid." + b64encode(raw).decode(),
        START_S + nth // size.messages_per_second,
    )


def _of(rng: Random, message: Message) -> Iterator[tuple[int, RawRecord]]:
    """Yield the send result of a message and its webhooks, each with its time in seconds."""
    yield message.at_s, RawRecord(SEND_RESULTS, None, as_producers_write(_send_result(message)))
    (fate,) = rng.choices([path for _, path in FATES], weights=[weight for weight, _ in FATES])
    for status in fate:
        at_s = message.at_s + rng.randint(*LATER_S[status])
        yield at_s, _webhook(message, _status(message, status, at_s))
    if rng.random() < REPLY_SHARE:
        at_s = message.at_s + rng.randint(*REPLY_LATER_S)
        yield at_s, _webhook(message, _reply(message, at_s))


def _send_result(message: Message) -> Json:
    name, language = message.template
    return {
        "v": 1,
        "tenant": message.tenant,
        "channel": "whatsapp",
        "campaign": message.campaign,
        "contact": {"id": f"contact-{message.nth}", "phone": message.phone},
        "outcome": "accepted",
        "template": {"name": name, "language": language},
        "phone_number_id": message.number,
        "message_id": message.wamid,
        "time": message.at_s * 1000 + message.nth % 1000,
    }


def _webhook(message: Message, body: Json) -> RawRecord:
    value_of(body)["metadata"] = {
        "display_phone_number": message.number[-11:],
        "phone_number_id": message.number,
    }
    for contact in value_of(body).get("contacts", ()):
        contact["wa_id"] = message.phone
        _without_scoped(contact)
    return RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(body))


def _status(message: Message, status: str, at_s: int) -> Json:
    body = sample(STATUS_BODIES[status])
    (item,) = value_of(body)["statuses"]
    item |= {"id": message.wamid, "timestamp": str(at_s), "recipient_id": message.phone}
    _without_scoped(item)
    return body


def _reply(message: Message, at_s: int) -> Json:
    body = sample("pywa__message__text")
    (item,) = value_of(body)["messages"]
    item |= {"id": f"wamid.reply-{message.nth}", "timestamp": str(at_s), "from": message.phone}
    _without_scoped(item)
    return body


def _without_scoped(part: Json) -> None:
    for name in [name for name in part if name.endswith(SCOPED)]:
        del part[name]
