"""POST bodies as they arrive: updates of many kinds in one, at each of the three levels of the envelope."""

from collections.abc import Iterator
from random import Random
from typing import Any

from tally.simulator.records import Json, Timed

LISTS = ("statuses", "messages", "contacts", "user_id_update")

# What else a list of statuses has been seen to hold, beside good ones: each is a bad part.
BROKEN_PARTS: tuple[Any, ...] = (
    {"status": "read", "timestamp": "1795350870", "recipient_id": "31600000000"},
    {"id": "wamid.broken", "status": "read", "recipient_id": "31600000000"},
    {"id": "wamid.broken", "status": "read", "timestamp": True},
    {"id": "wamid.broken", "status": "read", "timestamp": "yesterday"},
    {"id": 17, "status": "read", "timestamp": "1795350870"},
    {"id": "wamid.broken", "timestamp": "1795350870"},
    "wamid.broken",
    None,
)


def _place(change: Json) -> tuple[Any, Any]:
    return change["field"], change["value"].get("metadata")


def _pour(change: Json, into: Json) -> None:
    for name in LISTS:
        if name in change["value"]:
            into["value"].setdefault(name, []).extend(change["value"][name])


def merged(rng: Random, bodies: list[Json]) -> Json:
    """One body with the updates of all: in one change, in one entry, or in several entries."""
    whole, *rest = bodies
    for body in rest:
        entry = body["entry"][0]
        change = entry["changes"][0]
        home = next((e for e in whole["entry"] if e["id"] == entry["id"] and "changes" in e), None)
        twin = next((c for c in home["changes"] if _place(c) == _place(change)), None) if home else None
        if twin and rng.random() < 0.7:
            _pour(change, twin)
        elif home and rng.random() < 0.7:
            home["changes"].append(change)
        else:
            whole["entry"].append(entry)
    return whole


def posts(rng: Random, updates: list[Timed], bad_share: float) -> Iterator[Timed]:
    """POST bodies of the updates in their order; a share of those with statuses gets a bad one among them."""
    begin = 0
    while begin < len(updates):
        size = rng.choices([1, rng.randint(2, 4), rng.randint(5, 40)], weights=[70, 25, 5])[0]
        batch = updates[begin : begin + size]
        begin += size
        body = merged(rng, [update for _, update in batch])
        statuses = body["entry"][0]["changes"][0]["value"].get("statuses")
        if statuses and rng.random() < bad_share:
            statuses.insert(rng.randrange(len(statuses) + 1), rng.choice(BROKEN_PARTS))
        yield max(at_s for at_s, _ in batch), body
