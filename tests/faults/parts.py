"""Single statuses and messages of simulated webhooks, and contradictions to them. Pure."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

import orjson
from msgspec import Struct

from tally.schemas.fields import MAX_SECONDS
from tally.simulator.records import WEBHOOK_EVENTS, Json, RawRecord

DAY_S = 86_400
PRICES: tuple[Any, ...] = (
    {"category": "marketing", "type": "free_entry_point"},
    {"category": "authentication-international", "type": "regular"},
    {"category": "authentication", "type": "regular"},
    {"type": "regular"},
    {"category": "zone_of_next_year"},
    {},
)
"""Some lack a part, or have names that sort differently alone and before a slash."""
CODES = (131026, 131049, 470, 139_999)


class Part(Struct, frozen=True):
    """One status or message of a webhook, with the fields it needs to stand alone in another one."""

    place: int
    """Index of its record."""
    entry: str
    metadata: Json
    kind: str
    item: Json

    def body(self, **changes: Any) -> Json:
        """Return a webhook body with only this part."""
        item = deepcopy(self.item) | changes
        value = {"messaging_product": "whatsapp", "metadata": dict(self.metadata), self.kind: [item]}
        change = {"field": "messages", "value": value}
        return {"object": "whatsapp_business_account", "entry": [{"id": self.entry, "changes": [change]}]}


Change = Callable[[Random, Part], Json]


def _moved(seconds: int) -> Change:
    return lambda _, part: {"timestamp": str(max(int(part.item["timestamp"]) + seconds, 0))}


def _set(seconds: int) -> Change:
    return lambda rng, _: {"timestamp": rng.choice((seconds, str(seconds)))}


def _priced(rng: Random, _: Part) -> Json:
    return {"pricing": rng.choice(PRICES)}


def _failed_otherwise(rng: Random, _: Part) -> Json:
    return {"status": "failed", "errors": [{"code": rng.choice(CODES)}]}


CONFLICTS: dict[str, Change] = {
    "a second earlier": _moved(-1),
    "a second later": _moved(1),
    "ten minutes later": _moved(600),
    "another price": _priced,
    "another error": _failed_otherwise,
}
"""Changes that make the same status or message contradict the original."""
CLOCKS: dict[str, Change] = {
    "a day slow": _moved(-DAY_S),
    "a day fast": _moved(DAY_S),
    "epoch 0": _set(0),
    "year 9999": _set(MAX_SECONDS),
}
"""The times of wrong clocks; the reader rejects the last two as `bad_time`."""
SEND_CONFLICTS: dict[str, Json] = {
    "another time": {"time": 1_795_350_000_000},
    "a smaller template": {"template": {"name": "aaa", "language": "nl"}},
    "a larger template": {"template": {"name": "zzz", "language": "nl"}},
    "no template": {"template": None},
    "another error": {"error": {"source": "meta", "code": 131_000}},
}


def parts_of(place: int, record: RawRecord) -> Iterator[Part]:
    """Yield every status and message of a webhook that can be counted."""
    body = object_of(record, WEBHOOK_EVENTS)
    for entry in _objects(body.get("entry")):
        for change in _objects(entry.get("changes")):
            value = change.get("value")
            if change.get("field") == "messages" and isinstance(value, dict) and "id" in entry:
                yield from _parts_in(place, entry["id"], value)


def _parts_in(place: int, entry: str, value: Json) -> Iterator[Part]:
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("phone_number_id"), str):
        return
    for kind, name in (("statuses", "status"), ("messages", "type")):
        for item in _objects(value.get(kind)):
            is_named = isinstance(item.get("id"), str) and isinstance(item.get(name), str)
            has_time = str(item.get("timestamp")).isascii() and str(item.get("timestamp")).isdigit()
            if is_named and has_time:
                yield Part(place, entry, metadata, kind, item)


def object_of(record: RawRecord, topic: str) -> Json:
    """Return the object in a record of the topic; an empty one for poison."""
    try:
        body = orjson.loads(record.value or b"") if record.topic == topic else {}
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _objects(found: Any) -> list[Json]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
