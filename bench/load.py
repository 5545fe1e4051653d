"""The load of every section: send results and real webhook bodies of many campaigns, in order of time."""

from base64 import b64encode
from collections.abc import Iterator
from functools import cache
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
REPLY_BODY = "pywa__message__text"
SCOPED = ("user_id", "parent_user_id")
"""Business-scoped ids are left out: the peers only know phones."""
FATES = (("sent", "delivered", "read"), ("sent", "delivered"), ("sent", "failed"))
UP_TO = (0.70, 0.94)
"""The shares of the first fate, and of the first two."""
LATER_S = {"sent": (1, 2), "delivered": (2, 20), "read": (20, 300), "failed": (1, 20)}
REPLY_SHARE = 0.1
REPLY_LATER_S = (30, 600)
DUPLICATE_SHARE = 0.02
DUPLICATE_LATER_S = 30.0
TEMPLATES = (("promo_nov", "pt_BR"), ("promo_nov", "en_US"), ("order_update", "en_US"))
START_S = 1_762_000_000
EVENTS_PER_MESSAGE = 3.87
NUMBER, PHONE, ID, AT_S = "<number>", "<phone>", "<id>", "<at>"
"""What of a body differs from message to message, as it stands in the form of one."""


Timed = tuple[float, int, RawRecord]
"""When a record is published, unix seconds; a number that tells those of one moment apart; the record."""


class Size(NamedTuple):
    """The size of a load: `messages` over campaigns of tenants, each tenant with its own business numbers."""

    messages: int
    tenants: int = 4
    campaigns_per_tenant: int = 5
    numbers_per_tenant: int = 4
    messages_per_second: int = 300
    first: int = 0
    """The number of the first message: a later part of a longer load begins later."""
    start_s: int = START_S
    has_repeats: bool = True
    """Whether a fifth of the messages go to customers who have got one."""

    @property
    def people(self) -> int:
        """To how many customers they go."""
        return self.messages * 4 // 5 + 1 if self.has_repeats else self.first + self.messages

    @classmethod
    def of_events(cls, events: float) -> "Size":
        """Return the size of a load with about so many events, rather more than fewer."""
        return cls(round(events / EVENTS_PER_MESSAGE * 1.02) + 10)


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
    """Return raw records in the order in which they would be published; about 3.9 a message."""
    return [record for _, _, record in timed(size, seed)]


def timed(size: Size, seed: int) -> list[Timed]:
    """Return the records of a load with their times, in order."""
    rng = Random(seed)
    found: list[Timed] = []
    for nth in range(size.first, size.first + size.messages):
        for at_s, record in _of(rng, _message(rng, size, nth)):
            found.append((at_s + rng.random(), len(found), record))
            if rng.random() < DUPLICATE_SHARE:
                found.append((at_s + DUPLICATE_LATER_S, len(found), record))
    found.sort(key=lambda one: one[:2])
    return found


def _message(rng: Random, size: Size, nth: int) -> Message:
    tenant = int(rng.random() * size.tenants)
    number = int(rng.random() * size.numbers_per_tenant)
    phone = f"55119{nth % size.people:08d}"
    # A decoded wamid of Meta has the same form: the recipient's digits, and an id in hexadecimal.
    serial = rng.randbytes(9).hex().upper().encode()
    raw = b"\x1c\x18\x0d" + phone.encode() + b"\x15\x02\x00\x11\x18\x12" + serial + b"\x00"
    return Message(
        nth,
        f"tenant-{tenant}",
        f"campaign-{int(rng.random() * size.campaigns_per_tenant)}",
        TEMPLATES[int(rng.random() * len(TEMPLATES))],
        f"10654035{tenant:03d}{number:04d}",
        phone,
        "wamid." + b64encode(raw).decode(),
        size.start_s + nth // size.messages_per_second,
    )


def _of(rng: Random, message: Message) -> Iterator[tuple[int, RawRecord]]:
    """Yield the send result of a message and its webhooks, each with its time in seconds."""
    yield message.at_s, RawRecord(SEND_RESULTS, None, as_producers_write(_send_result(message)))
    drawn = rng.random()
    for status in FATES[sum(drawn >= share for share in UP_TO)]:
        at_s = message.at_s + _later(rng, LATER_S[status])
        yield at_s, _written(status_form(status), message, message.wamid, at_s)
    if rng.random() < REPLY_SHARE:
        at_s = message.at_s + _later(rng, REPLY_LATER_S)
        yield at_s, _written(reply_form(), message, f"wamid.reply-{message.nth}", at_s)


def _later(rng: Random, between_s: tuple[int, int]) -> int:
    least, most = between_s
    return least + int(rng.random() * (most - least + 1))


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


def _written(form: str, message: Message, message_id: str, at_s: int) -> RawRecord:
    """Return a webhook of a message. A load has millions: to write JSON anew for each takes longer."""
    text = form.replace(ID, message_id.replace("/", "\\/")).replace(AT_S, str(at_s))
    text = text.replace(PHONE, message.phone).replace("+" + NUMBER, message.number[-11:])
    return RawRecord(WEBHOOK_EVENTS, None, text.replace(NUMBER, message.number).encode())


@cache
def status_form(status: str) -> str:
    """Return a real body of a status as Meta writes it, with marks where messages differ."""
    body = sample(STATUS_BODIES[status])
    (item,) = value_of(body)["statuses"]
    item |= {"id": ID, "timestamp": AT_S, "recipient_id": PHONE}
    return _form(body, item)


@cache
def reply_form() -> str:
    """Return a real body of a customer's message, likewise."""
    body = sample(REPLY_BODY)
    (item,) = value_of(body)["messages"]
    item |= {"id": ID, "timestamp": AT_S, "from": PHONE}
    return _form(body, item)


def _form(body: Json, item: Json) -> str:
    value = value_of(body)
    value["metadata"] = {"display_phone_number": "+" + NUMBER, "phone_number_id": NUMBER}
    for contact in value.get("contacts", ()):
        contact["wa_id"] = PHONE
        _without_scoped(contact)
    _without_scoped(item)
    return as_meta_writes(body).decode()


def _without_scoped(part: Json) -> None:
    for name in [name for name in part if name.endswith(SCOPED)]:
        del part[name]
