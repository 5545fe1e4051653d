"""Stories as they are answered: what a subject counts, its facts in order, and the bytes of records. Pure."""

from base64 import b64encode
from hashlib import sha256
from typing import Annotated, Any, Literal

import orjson
from msgspec import Meta, Struct

from tally.agents.view.answer import rfc_3339
from tally.agents.view.story import Change, Told, counts_of
from tally.schemas.places import place_of
from tally.streams.web.answers import ReceiptShown, TemplateNamed, Time
from tally.streams.web.lines import LineOfSubject, line_of
from tally.streams.web.told_stories import Telling
from tally.tables.kafka.raw_records import Gone, Held

RECORD_BYTES = 65_536
"""Longer records are told by their digest alone."""
Json = dict[str, Any]


class SubjectLine(LineOfSubject, frozen=True):
    """What one part of the subject counts in one row."""

    campaign: str
    counters: dict[str, int]


class RowChange(Struct, frozen=True):
    """What a record changed in one row."""

    campaign: str
    template: TemplateNamed | None
    """None for the row of the campaign itself, which distinct customers have."""
    operator: str
    """In rows of operators; empty in others."""
    counters: Annotated[dict[str, int], Meta(description="by counter what was added, or taken off")]


class FactShown(Struct, frozen=True):
    """A raw record that told something of the subject first, and what that changed."""

    at: Time
    kinds: list[str]
    topic: str | None
    partition: int | None
    offset: int | None
    record: Annotated[
        Literal["held", "gone", "foreign", "unread", "unknown"],
        Meta(
            description="held: it lies there; gone: the topic has deleted it; foreign: what lies there does"
            " not name the subject, since other records connect the two, or the topic was made anew;"
            " unread: brokers do not answer; unknown: no place is known"
        ),
    ]
    published_at: Time | None
    held_since: Annotated[
        Time | None, Meta(description="of one that is gone: when the first record was published that is left")
    ]
    size: int | None
    sha256: str | None
    bytes: Annotated[str | None, Meta(description="what was published, in base64")]
    withheld: Annotated[
        Literal["tells_of_others", "too_large"] | None, Meta(description="why the bytes of one are not shown")
    ]
    changes: Annotated[
        list[RowChange] | None,
        Meta(description="in rows of this tenant; null where a record is missing that it depends on"),
    ]


class StoryAnswer(Struct, frozen=True):
    """What a subject counts, and the facts that it counts by, in order."""

    tenant: str
    lines: list[SubjectLine]
    facts: list[FactShown]
    is_explained: Annotated[bool, Meta(description="the records that are held give all that the lines count")]
    receipt: ReceiptShown


def is_of_one(topic: str, value: bytes | None) -> bool:
    """Return whether a record tells of one message, call or attempt: a webhook may tell of many. Pure."""
    if topic != "webhook-events" or value is None:
        return True
    try:
        (entry,) = orjson.loads(value)["entry"]
        (change,) = entry["changes"]
        told = {name: len(some) for name, some in change["value"].items() if isinstance(some, list)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return told.pop("contacts", 0) <= 1 and sum(told.values()) == 1


def answered(tenant: str, telling: Telling, sees_all: bool) -> Json:
    """Return the body of an answer. Pure."""
    return {
        "tenant": tenant,
        "lines": [
            line_of(one)
            | {"campaign": one["campaign"], "counters": counts_of(one["counters"], one["counts"])}
            for one in telling.lines
        ],
        "facts": [_fact(tenant, one, telling, sees_all) for one in telling.told],
        "is_explained": telling.is_explained,
        "receipt": telling.receipt.answer(),
    }


def _fact(tenant: str, one: Told, telling: Telling, sees_all: bool) -> Json:
    lies, changes = place_of(one.place), telling.story.changes.get(one.place)
    topic, partition, offset = (None, None, None) if lies is None else lies
    return {
        **{"at": rfc_3339(one.at_ms), "kinds": list(one.kinds)},
        **{"topic": topic, "partition": partition, "offset": offset},
        **_record(one, telling, sees_all),
        "changes": None if changes is None else [_change(it) for it in changes if it.row.tenant == tenant],
    }


def _record(one: Told, telling: Telling, sees_all: bool) -> Json:
    nothing = dict.fromkeys(("published_at", "held_since", "size", "sha256", "bytes", "withheld"))
    lies = place_of(one.place)
    found = None if lies is None or telling.records is None else telling.records.get(one.place)
    if one.place in telling.story.foreign:
        return nothing | {"record": "foreign"}
    if isinstance(found, Gone):
        since_ms = found.held_since_ms
        return nothing | {"record": "gone", "held_since": None if since_ms is None else rfc_3339(since_ms)}
    if lies is None or not isinstance(found, Held):
        return nothing | {"record": "unknown" if lies is None else "unread"}
    value = found.record.value or b""
    told = {
        "size": len(value),
        "sha256": sha256(value).hexdigest(),
        "published_at": rfc_3339(found.record.timestamp),
    }
    if len(value) > RECORD_BYTES:
        return nothing | told | {"record": "held", "withheld": "too_large"}
    if not sees_all and not is_of_one(lies.topic, value):
        return nothing | told | {"record": "held", "withheld": "tells_of_others"}
    return nothing | told | {"record": "held", "bytes": b64encode(value).decode()}


def _change(change: Change) -> Json:
    template = change.row.template
    is_operator = not change.row.campaign
    named = (
        None if template is None or is_operator else {"name": template.name, "language": template.language}
    )
    return {
        "campaign": change.row.campaign,
        "template": named,
        "operator": template.language if is_operator and template is not None else "",
        "counters": change.counts,
    }
