"""Batching of updates into POST bodies, at each of the three levels of the webhook envelope."""

from collections.abc import Iterator
from random import Random
from typing import Any

from tally.simulator.records import Json, Timed

LISTS = ("statuses", "messages", "contacts", "user_id_update")

# Bad items that real lists of statuses have held beside good ones.
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
    """Return one body with the updates of all bodies, in one change, one entry or several entries."""
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
    """Yield POST bodies of the updates in order; `bad_share` of those with statuses get a bad one as well."""
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
