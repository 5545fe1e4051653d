"""Records of `campaigns`, version 1: what a campaign is called, and what is planned (docs/producers.md).

The topic is compacted: its records have the key of their campaign, or compaction would take another one's.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tally.schemas.descriptions import DESCRIPTION, FIELDS, LIMITS, Described
from tally.schemas.errors import BadEvent
from tally.schemas.fields import (
    A_TIME,
    OBJECT,
    PRODUCERS_ID,
    checked_text,
    event_ms,
    latest_ms,
    producer_id,
    required,
    typed,
)
from tally.schemas.keys import join_parts
from tally.schemas.records import Routed, read_object

MAX_NAME = 128
MAX_STATUS = MAX_TAG = 64
MAX_TAGS = 32
MOST = 1_000_000_000
"""Of any number that is planned or a limit."""
KNOWN = frozenset({"v", "tenant", "campaign", "time", *FIELDS})


def read_campaign(value: bytes | None, published_ms: int | None = None) -> Routed:
    """Turn a record into what it says of its campaign; a field that is none costs that field alone.

    A tombstone says nothing: it lets compaction take what was said under its key. `published_ms` is Kafka's
    time of the record.
    """
    routed = Routed()
    if value is None:
        return routed
    try:
        body = read_object(value)
        version = body.get("v")
        if version is not None and typed(version, int, "$.v") != 1:
            raise BadEvent("unknown_version", "$.v", "1")
        tenant = producer_id(required(body, "tenant", "$", PRODUCERS_ID), "$.tenant")
        campaign = producer_id(required(body, "campaign", "$", PRODUCERS_ID), "$.campaign")
        at_ms = event_ms(required(body, "time", "$", A_TIME), "$.time", latest_ms(published_ms))
    except BadEvent as error:
        routed.refuse(error.bad)
        return routed
    said: dict[str, list[str]] = {}
    for field in FIELDS:
        if field in body:
            routed.see("campaign_field", field, frozenset(FIELDS))
            try:
                said[field] = [] if body[field] is None else _READ[field](body[field], f"$.{field}")
            except BadEvent as error:
                routed.refuse(error.bad)
    routed.see_unknown("campaign", body, KNOWN)
    if said:
        routed.add(DESCRIPTION, join_parts(tenant, campaign), Described(at_ms, said))
    return routed


def _name(value: Any, path: str) -> list[str]:
    return [f"name={checked_text(typed(value, str, path), path, MAX_NAME)}"]


def _status(value: Any, path: str) -> list[str]:
    return [f"status={checked_text(typed(value, str, path), path, MAX_STATUS)}"]


def _tags(value: Any, path: str) -> list[str]:
    expected = f"a list of at most {MAX_TAGS} texts"
    if type(value) is not list or len(value) > MAX_TAGS:
        raise BadEvent("wrong_type", path, expected)
    tags = {checked_text(typed(tag, str, path), f"{path}[{at}]", MAX_TAG) for at, tag in enumerate(value)}
    return [f"tag={tag}" for tag in sorted(tags)]


def _planned(value: Any, path: str) -> list[str]:
    return [f"planned={_whole(value, path, 0)}"]


def _limits(value: Any, path: str) -> list[str]:
    if type(value) is not dict:
        raise BadEvent("wrong_type", path, f"{OBJECT} with {' or '.join(LIMITS)}")
    given = [(name, value[name]) for name in LIMITS if value.get(name) is not None]
    return [f"limit.{name}={_whole(limit, f'{path}.{name}', 1)}" for name, limit in given]


def _whole(value: Any, path: str, least: int) -> int:
    if type(value) is not int or not least <= value <= MOST:
        raise BadEvent("wrong_type", path, f"a whole number from {least} to {MOST}")
    return value


_READ: Mapping[str, Callable[[Any, str], list[str]]] = {
    "name": _name,
    "status": _status,
    "tags": _tags,
    "planned": _planned,
    "limits": _limits,
}
