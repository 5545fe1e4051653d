"""What is said of a bad event: where, and what was expected there; never what stood there instead."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tally.schemas.conventions import CONVENTIONS, Conventions
from tally.schemas.records import Routed
from tally.schemas.sources import READERS
from tally.streams.operations.dead_letters import StoredDeadLetter
from tally.streams.operations.grouped_letters import groups_of
from tally.tables.kafka.dead_letters import DETAILED_PARTS, MAX_DETAIL, detail_of
from tests.contract.test_examples import examples

MARK = "49-private-151"
PUBLISHED_MS = 1_795_360_000_000
IN_PLACE_OF_IT: tuple[Any, ...] = (
    None,
    "",
    f"{MARK}\0",
    MARK,
    MARK * 100,
    -1,
    7.5,
    1 << 62,
    True,
    [],
    [MARK, {MARK: MARK}],
    {},
    {MARK: MARK},
)
ABSENT = object()


def changed(value: Any, change: Any) -> Iterator[Any]:
    """Yield the value with each of its parts in turn left out, or replaced by the change."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, part in parts:
        rest = value.copy()
        if change is ABSENT:
            del rest[at]
        else:
            rest[at] = change
        yield rest
        for other in changed(part, change):
            whole = value.copy()
            whole[at] = other
            yield whole


def read(topic: str, value: bytes, conventions: Conventions = CONVENTIONS) -> Routed:
    return READERS[topic](value, (), conventions, PUBLISHED_MS)


def check(routed: Routed) -> None:
    for bad in routed.bad:
        assert bad.expected, bad
        assert MARK not in str(bad)
    detail = detail_of(routed)
    if routed.bad:
        letter = StoredDeadLetter("raw/0/7", routed.bad[0].reason, detail, 1, None, b"", 0)
        said = {(group.reason, group.expected) for group in groups_of(letter)}
        assert said == {(bad.reason, bad.expected) for bad in routed.bad[:DETAILED_PARTS]}
    assert len(detail) <= MAX_DETAIL
    assert "  " not in detail


@pytest.mark.parametrize(("topic", "path"), examples())
def test_whatever_is_wrong_with_an_event_its_complaint_says_what_was_expected(topic: str, path: Path) -> None:
    example = orjson.loads(path.read_bytes())
    complaints = 0
    for change in (ABSENT, *IN_PLACE_OF_IT):
        for event in changed(example, change):
            routed = read(topic, orjson.dumps(event))
            check(routed)
            complaints += len(routed.bad)
    assert complaints > 20


@pytest.mark.parametrize("topic", READERS)
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"7",
        b"{}",
        b"," * 200_000,
        b"[" * 5_000_000,
        MARK.encode(),
        b"Event: " + MARK.encode() + b"\r\n" * 2_000 + b"A: b",
        b"Event: \r\nA: b\r\n\r\n",
        b"\0",
    ],
    ids=lambda value: repr(value[:9]),
)
def test_a_record_that_cannot_be_read_at_all_says_what_was_expected(topic: str, value: bytes) -> None:
    routed = read(topic, value)
    check(routed)
    assert routed.bad


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "delivered"}, "one of queued, requested, accepted, failed, skipped, cancelled"),
        ({"outcome": "requested"}, "one of queued, accepted, failed, skipped, cancelled"),
        ({"channel": "sms"}, "one of whatsapp, voice"),
        ({"time": "2026-11-22T12:34:34"}, "unix ms or RFC 3339 with a zone"),
        ({"time": 1_795_000_000}, "unix ms or RFC 3339 with a zone, not seconds"),
        ({"contact": {"id": "7"}}, "one of phone, wa_id, user_id"),
        ({"contact": None}, "an object"),
        ({"v": 2}, "1"),
        ({"outcome": "failed", "error": {"source": "twilio", "code": 7}}, "one of meta, platform, pbx"),
        ({"outcome": "skipped", "reason": "r" * 65}, "text of at most 64 characters"),
        ({"channel": "voice", "pbx": "p", "call": {}}, "one of action_id, channel_id, unique_id, linked_id"),
        ({"phone_number_id": 7}, "text"),
        ({"tenant": ""}, "text of 1 to 128 characters, none of them U+0000"),
        ({"tenant": 7.5}, "text of 1 to 128 characters, none of them U+0000, or a whole number"),
    ],
)
def test_a_send_result_is_told_which_words_and_forms_there_are(change: dict[str, Any], said: str) -> None:
    (example,) = [path for topic, path in examples() if (topic, path.stem) == ("send-results", "accepted")]

    routed = read("send-results", orjson.dumps(orjson.loads(example.read_bytes()) | change))

    assert routed.bad[0].expected.startswith(said)
