"""Small worlds of one business number each, in which few sends, statuses and replies meet in all ways."""

from random import Random
from typing import Any

from tally.schemas.numbers import Number
from tally.simulator.records import (
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    RawRecord,
    as_meta_writes,
    as_producers_write,
)
from tally.simulator.wamids import new_wamid, spelt_anew

DAY_S = 86_400
WINDOW_S = 7 * DAY_S
OFFSETS_S = (0, 0, 0, 1, 60, DAY_S, DAY_S + 1, WINDOW_S, WINDOW_S + 1, -1)
TEMPLATES = (None, {"name": "promo", "language": "pt-br"}, {"name": "promo", "language": "pt_BR"})
PEOPLE = (
    {"phone": "31600000001", "later": "15550001111", "user": "NL.1"},
    {"phone": "+31 6 00000002", "later": "+31 6 00000003", "user": "NL.2"},
    {"phone": "Y2FwaV9ncm91cDo1", "later": "Y2FwaV9ncm91cDo1", "user": ""},
)
"""Two customers, each with two phones, and a group."""
TYPES = ("button", "button", "button", "text", "interactive", "reaction")

Json = dict[str, Any]


class World:
    """One world: `number` is its business number, and what its campaigns' names end with.

    The number had that id first, and two others since.
    """

    def __init__(self, rng: Random, number: str, start_s: int) -> None:
        self._rng = rng
        self._ids = (number, f"{number}-second", f"{number}-third")
        self._start_s = start_s
        some = rng.choice((1, 2))  # of what sends are told apart by; with one of each many are equal
        people = PEOPLE if some > 1 else PEOPLE[:1]
        self._messages = [(new_wamid(rng, "31600000001"), rng.choice(people)) for _ in range(4)]
        self._tenants = ("t1", "t2")[:some]
        self._attempts = (1, 2)[:some]
        self._templates = TEMPLATES if some > 1 else TEMPLATES[1:]
        self._sent_offsets_s = OFFSETS_S if some > 1 else OFFSETS_S[:4]
        self._campaigns = (f"c1-{number}", f"c2-{number}", None)[: 2 * some - 1]
        self._contacts = ("8", "9")[:some]
        self._inbound = [new_wamid(rng, "31600000001") for _ in range(3)]

    def numbers(self) -> dict[str, Number]:
        """Return what is known of the later ids of its number; they are the first tenant's alone."""
        first, second, third = self._ids
        return {second: Number("t1", successor_of=first), third: Number("t1", successor_of=second)}

    def records(self) -> list[RawRecord]:
        """Return everything that is published, without any order; some of it twice."""
        rng = self._rng
        made = [
            *(self._send() for _ in range(rng.randrange(1, 7))),
            *(self._status() for _ in range(rng.randrange(4))),
            *(self._echo() for _ in range(rng.randrange(2))),
            *(self._said() for _ in range(rng.randrange(1, 6))),
        ]
        made += rng.sample(made, len(made) // 3)
        rng.shuffle(made)
        return made

    def _at_s(self) -> int:
        return self._start_s + self._rng.choice(OFFSETS_S)

    def _id(self, wamid: str) -> str:
        return spelt_anew(self._rng, wamid, ("31600000001", "NL.1")) if self._rng.random() < 0.5 else wamid

    def _send(self) -> RawRecord:
        rng = self._rng
        wamid, person = rng.choice(self._messages)
        body: Json = {
            "tenant": rng.choice(self._tenants),
            "channel": "whatsapp",
            "campaign": rng.choice(self._campaigns),
            "contact": {
                "id": rng.choice(self._contacts),
                "phone": person[rng.choice(("phone", "phone", "later"))],
            },
            "outcome": "accepted",
            "attempt": rng.choice(self._attempts),
            "template": rng.choice(self._templates),
            "phone_number_id": rng.choice(self._ids),
            "message_id": self._id(wamid),
            "time": (self._start_s + rng.choice(self._sent_offsets_s)) * 1000 + rng.randrange(1000),
        }
        if person["user"] and rng.random() < 0.5:
            body["contact"]["user_id"] = person["user"]
        return RawRecord(SEND_RESULTS, None, as_producers_write(body))

    def _status(self) -> RawRecord:
        rng = self._rng
        wamid, _ = rng.choice(self._messages)
        said = {
            "id": self._id(wamid),
            "status": rng.choice(("sent", "delivered", "read", "failed")),
            "timestamp": str(self._at_s()),
        }
        return self._hook(statuses=[said])

    def _echo(self) -> RawRecord:
        rng = self._rng
        wamid, person = rng.choice(self._messages)
        said: Json = {"id": self._id(wamid), "timestamp": str(self._at_s()), "type": "text"}
        said |= {"to": person["phone"]} if rng.random() < 0.7 else {"to_user_id": person["user"]}
        if rng.random() < 0.1:
            said |= rng.choice(({"to": 7}, {"timestamp": "x"}, {"id": ""}))
        field = rng.choice(("smb_message_echoes", "message_echoes", "messages", "history"))
        return self._hook(field, message_echoes=[said])

    def _said(self) -> RawRecord:
        rng = self._rng
        person = rng.choice(PEOPLE)
        said: Json = {
            "id": self._id(rng.choice(self._inbound)),
            "type": rng.choice(TYPES),
            "timestamp": str(self._at_s()),
        }
        if person["user"]:
            name = rng.choice(("phone", "user"))
            said["from" if name == "phone" else "from_user_id"] = person[name]
        else:
            said |= {"from": rng.choice(PEOPLE[:2])["phone"], "group_id": person["phone"]}
        if rng.random() < 0.5:
            said["context"] = {"from": "15550783881", "id": self._id(rng.choice(self._messages)[0])}
        elif rng.random() < 0.2:
            said["context"] = rng.choice(({"forwarded": True}, {"id": ""}, {"id": 7}, "x"))
        return self._hook(messages=[said])

    def _hook(self, field: str = "messages", **value: Any) -> RawRecord:
        metadata = {"display_phone_number": "15550783881", "phone_number_id": self._rng.choice(self._ids)}
        change = {"field": field, "value": {"metadata": metadata, **value}}
        body = {"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}
        return RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(body))
