"""The poison table: bad and borderline records, each with its expected result."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tally.simulator.records import (
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    Json,
    as_meta_writes,
    as_producers_write,
)
from tally.simulator.samples import sample, value_of

POISONED = "poison"
"""The tenant of every poisoned send result."""
SMALL_BYTES = 10_000
NUL = "\x00"
BAD_TIMES: tuple[Any, ...] = (
    *(True, -1, 0, 1795350873904.0, 10**16),
    *(1795350873, 1_230_767_999_999, "2008-12-31T23:59:59.999Z", "1970-01-21T18:42:30Z"),
    *("1795350873904", "2026-11-22T12:34:34", "2026-02-30T12:00:00Z", "yesterday", ""),
    [],
)
BAD_TIMESTAMPS: tuple[Any, ...] = (
    *(True, "yesterday", "", 1750030073.5, -1, "-1"),
    *(0, "1230767999", 1750030073904, "253402300800"),
)


@dataclass(frozen=True, slots=True)
class Poison:
    """A record, and the reason of its dead letter; None if it must be accepted."""

    name: str
    topic: str
    value: bytes | None
    reason: str | None


def poisons() -> list[Poison]:
    """Return the whole table; its two largest records have 10 MB each."""
    return [*_texts(), *_send_results(), *_webhooks()]


def small_poisons() -> list[Poison]:
    """Return the records that must become dead letters and are small enough to be sent often."""
    return [p for p in poisons() if p.reason and len(p.value or b"") < SMALL_BYTES]


def _texts() -> Iterator[Poison]:
    good = as_producers_write(send_result())
    cases: list[tuple[str, bytes | None, str]] = [
        ("tombstone", None, "not_json"),
        ("empty", b"", "not_json"),
        ("malformed", good[:-1], "not_json"),
        ("two documents", good + good, "not_json"),
        ("not JSON at all", b"<xml/>", "not_json"),
        ("byte order mark", b"\xef\xbb\xbf" + good, "not_json"),
        ("NaN", good[:-1] + b',"x":NaN}', "not_json"),
        ("Infinity", good[:-1] + b',"x":-Infinity}', "not_json"),
        ("1e999", good[:-1] + b',"x":1e999}', "not_json"),
        ("400 digits", good[:-1] + b',"x":' + b"9" * 400 + b"}", "not_json"),
        ("lone surrogate", good[:-1] + b',"x":"\\ud800"}', "not_json"),
        ("raw control character", good[:-1] + b',"x":"\n"}', "not_json"),
        ("depth 1025", b'{"x":' + b"[" * 1024 + b"]" * 1024 + b"}", "not_json"),
        ("depth 70000", b'{"x":' + b"[" * 69_999 + b"]" * 69_999 + b"}", "not_json"),
        ("depth 100000", b'{"x":' + b"[" * 99_999 + b"]" * 99_999 + b"}", "too_many_parts"),
        ("100000 values", good[:-1] + b',"x":[' + b"1," * 99_999 + b"1]}", "too_many_parts"),
        ("a text of 100000 commas", good[:-1] + b',"x":"' + b"," * 100_000 + b'"}', "too_many_parts"),
        ("invalid UTF-8", good[:-1] + b',"x":"\xff"}', "not_text"),
        ("surrogate in UTF-8", good[:-1] + b',"x":"\xed\xa0\x80"}', "not_text"),
        ("gzip bomb", gzip.compress(bytes(1_000_000), mtime=0), "not_text"),
        ("10 MB string", good[:-1] + b',"x":"' + b"a" * 10_000_000 + b'"}', "too_large"),
        ("null", b"null", "wrong_type"),
        ("a list", b"[]", "wrong_type"),
        ("a number", b"7", "wrong_type"),
        ("a string", b'"text"', "wrong_type"),
    ]
    for topic in (SEND_RESULTS, WEBHOOK_EVENTS):
        yield from (Poison(f"{topic}: {name}", topic, value, reason) for name, value, reason in cases)


def send_result(**changes: Any) -> Json:
    """Return a good send result with some fields changed; the value `...` removes a field."""
    result: Json = {
        "tenant": POISONED,
        "channel": "whatsapp",
        "campaign": "p1",
        "contact": {"id": 812, "phone": "+31600000812"},
        "template": {"name": "promo_nov", "language": "pt_BR"},
        "phone_number_id": "106540352242922",
        "outcome": "accepted",
        "message_id": "wamid.poison",
        "time": 1795350873904,
        **changes,
    }
    return {name: value for name, value in result.items() if value is not ...}


def _send_results() -> Iterator[Poison]:
    for field in ("tenant", "channel", "contact", "phone_number_id", "outcome", "message_id", "time"):
        yield _send(f"{field} missing", "missing_field", **{field: ...})
        yield _send(f"{field} null", "missing_field", **{field: None})
    yield _send("campaign missing", "missing_field", campaign=...)
    yield _send("contact.id missing", "missing_field", contact={"phone": "+31600000812"})
    yield _send("accepted without a recipient", "missing_field", contact={"id": 812})
    yield _send("failed without error", "missing_field", outcome="failed")
    yield _send("error without code", "missing_field", outcome="failed", error={"source": "meta"})
    yield _send("skipped without reason", "missing_field", outcome="skipped")
    yield _send("template without name", "missing_field", template={"language": "nl"})
    yield _send("template without language", "missing_field", template={"name": "promo_nov"})
    for time in BAD_TIMES:
        yield _send(f"time {time!r}", "bad_time", time=time)
    for field in ("tenant", "campaign"):
        yield _send(f"{field} empty", "bad_id", **{field: ""})
        yield _send(f"{field} of 129 characters", "bad_id", **{field: "x" * 129})
        yield _send(f"{field} with U+0000", "bad_id", **{field: "a" + NUL})
        yield _send(f"{field} a list", "wrong_type", **{field: ["t1"]})
        yield _send(f"{field} a bool", "wrong_type", **{field: True})
        yield _send(f"{field} a float", "wrong_type", **{field: 7.5})
        yield _send(f"{field} an integer of more than 64 bits", "wrong_type", **{field: 2**64})
    yield _send("message_id with U+0000", "bad_id", message_id="wamid." + NUL)
    yield _send("message_id of 513 characters", "bad_id", message_id="x" * 513)
    yield _send("message_id a number where there is none", "wrong_type", outcome="queued", message_id=7)
    yield _send("message_id a number", "wrong_type", message_id=7)
    yield _send("phone_number_id a number", "wrong_type", phone_number_id=106540352242922)
    yield _send("contact a string", "wrong_type", contact="812")
    yield _send("phone a number", "wrong_type", contact={"id": 812, "phone": 31600000812})
    yield _send("template a string", "wrong_type", template="promo_nov")
    yield _send("channel sms", "wrong_type", channel="sms")
    yield _send("outcome bounced", "wrong_type", outcome="bounced")
    yield _send("requested on whatsapp", "wrong_type", outcome="requested")
    yield _send(
        "error.source carrier", "wrong_type", outcome="failed", error={"source": "carrier", "code": 1}
    )
    for attempt in (0, -1, True, 1.5, ["2"]):
        yield _send(f"attempt {attempt!r}", "wrong_type", attempt=attempt)
    for version in ("1", True, 1.0):
        yield _send(f"v {version!r}", "wrong_type", v=version)
    yield _send("v 2", "unknown_version", v=2)
    yield _send("unknown fields", None, message_id="wamid.p1", x={"deep": [1]})
    yield _send(
        "integers over 2**63 where they are no id", None, message_id="wamid.p6", x=[2**63, 2**64, 10**30]
    )
    yield _send("an empty reason", None, outcome="skipped", reason="", message_id=...)
    yield _send(
        "a phone without digits", None, message_id="wamid.p7", contact={"id": 814, "phone": "unknown"}
    )
    yield _send("U+0000 where it is no id", None, message_id="wamid.p2", x=NUL)
    yield _send(
        "integers over 2**53 as ids",
        None,
        message_id="wamid.p3",
        contact={"id": 2**53 + 1, "user_id": "NL.1"},
    )
    yield _send(
        "an id of 128 characters", None, message_id="wamid.p4", contact={"id": "x" * 128, "wa_id": "316"}
    )
    twice = as_producers_write(send_result(message_id="wamid.p5"))[:-1] + b',"campaign":"p2"}'
    yield Poison("send-results: duplicate keys, the last one counts", SEND_RESULTS, twice, None)


def _send(name: str, reason: str | None, /, **changes: Any) -> Poison:
    return Poison(f"send-results: {name}", SEND_RESULTS, as_producers_write(send_result(**changes)), reason)


def _webhooks() -> Iterator[Poison]:
    good = sample("metadoc__status__1")
    yield _hook("object missing", "missing_field", {"entry": good["entry"]})
    yield _hook("object null", "missing_field", {**good, "object": None})
    yield _hook("object page", "unknown_object", {**good, "object": "page"})
    yield _hook("entry missing", "missing_field", {"object": good["object"]})
    yield _hook("entry an object", "wrong_type", {**good, "entry": {}})
    yield _hook("no entries", None, {**good, "entry": []})
    yield _hook("unknown field", None, sample("restfb__webhook-accountUpdate-verified"))
    yield from _parts("statuses", "metadoc__status__1", ("id", "status", "timestamp"))
    yield from _parts("messages", "pywa__message__text", ("id", "type", "timestamp"))
    yield _part(
        "recipient_id a number", "wrong_type", "metadoc__status__1", "statuses", recipient_id=31600000812
    )
    yield _part("from a number", "wrong_type", "pywa__message__text", "messages", **{"from": 31600000812})
    yield _part("context.id a number", "wrong_type", "pywa__message__text", "messages", context={"id": 7})
    yield _part(
        "recipient_id of 513 characters", "bad_id", "metadoc__status__1", "statuses", recipient_id="1" * 513
    )
    yield _part("unknown status", None, "metadoc__status__1", "statuses", status="some_status_of_next_year")
    yield _part("unknown type", None, "pywa__message__text", "messages", type="hologram")
    yield _part("U+0000 in a text", None, "pywa__message__text", "messages", text={"body": NUL})
    yield _part("timestamp an integer", None, "metadoc__status__1", "statuses", timestamp=1750030073)
    for name, number_id, reason in (("missing", ..., "missing_field"), ("a number", 7, "wrong_type")):
        yield _hook(f"phone_number_id {name}", reason, _with_number_id(number_id))


def _with_number_id(number_id: Any) -> Json:
    body = sample("metadoc__status__1")
    metadata: Json = value_of(body)["metadata"]
    metadata["phone_number_id"] = number_id
    if number_id is ...:
        del metadata["phone_number_id"]
    return body


def _parts(parts: str, name: str, required: tuple[str, ...]) -> Iterator[Poison]:
    for field in required:
        yield _part(f"{field} missing", "missing_field", name, parts, **{field: ...})
        yield _part(f"{field} null", "missing_field", name, parts, **{field: None})
    yield _part("id a number", "wrong_type", name, parts, id=17)
    yield _part("id empty", "bad_id", name, parts, id="")
    yield _part("id of 513 characters", "bad_id", name, parts, id="x" * 513)
    yield _part("id with U+0000", "bad_id", name, parts, id="wamid." + NUL)
    for time in BAD_TIMESTAMPS:
        yield _part(f"timestamp {time!r}", "bad_time", name, parts, timestamp=time)


def _part(what: str, reason: str | None, name: str, parts: str, **changes: Any) -> Poison:
    body = sample(name)
    item: Json = value_of(body)[parts][0] | changes
    value_of(body)[parts][0] = {key: value for key, value in item.items() if value is not ...}
    return _hook(f"{parts}: {what}", reason, body)


def _hook(name: str, reason: str | None, body: Json) -> Poison:
    return Poison(f"webhook-events: {name}", WEBHOOK_EVENTS, as_meta_writes(body), reason)
