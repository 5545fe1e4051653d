"""Laws of the items of a body: each as it came, and the first fault of each is named."""

import tracemalloc
from collections.abc import Iterator

import orjson
import pytest

from tally.schemas.bounds import MIB, RECORD
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.scan import elements
from tally.streams.gateway.items import (
    ARRAY,
    LINES,
    MOST_ELEMENTS,
    MOST_ITEMS,
    NotItems,
    bad_parts,
    items_of,
)
from tests.support.cpu import largest_step

SEND = (
    b'{"tenant": "t1", "channel": "whatsapp", "campaign": "c1", "contact": {"id": 1, "wa_id": "15550001"},'
    b' "outcome": "accepted", "phone_number_id": "1", "message_id": "wamid.1", "time": 1795350900000}'
)
NOW_MS = 1_795_350_900_500
MOST_SECONDS, MOST_BYTES = 0.05, 32 * MIB
"""What a body of 4 MiB may cost until it is refused."""


def bad(item: bytes, tenant: str = "t1", topic: str = "send-results") -> list[tuple[str, str]]:
    found = bad_parts(3, item, tenant, topic, CONVENTIONS, NOW_MS)
    assert all(one.index == 3 for one in found)
    return [(one.reason, one.path) for one in found]


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b'[ {"a": 1.0} ,\n {"b" : "\\u00e4 \xc3\xbc"}]', ARRAY),
        (b'{"a": 1.0}\n\n{"b" : "\\u00e4 \xc3\xbc"}\r\n', LINES),
    ],
)
def test_items_stay_as_they_came(body: bytes, media_type: str) -> None:
    assert [item.strip() for item in items_of(body, media_type)] == [
        b'{"a": 1.0}',
        b'{"b" : "\\u00e4 \xc3\xbc"}',
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[",
        b"[1",
        b"[{}]x",
        b"[\xff]",
        b"null",
        b"[]",
        b"[" * 100_000,
        b"[" + b"1," * MOST_ITEMS + b"1]",
    ],
)
def test_what_is_no_list_of_items_is_refused(body: bytes) -> None:
    with pytest.raises(NotItems, match="expected"):
        items_of(body, ARRAY)


@pytest.mark.parametrize("body", [b"", b"\n \n", b"{}\n" * (MOST_ITEMS + 1)])
def test_neither_none_nor_too_many_lines_are_items(body: bytes) -> None:
    with pytest.raises(NotItems, match="expected"):
        items_of(body, LINES)


@pytest.mark.parametrize(
    ("begin", "item", "end", "media_type"),
    [
        (b"[", b"0,", b"0]", ARRAY),
        (b"[", b"{},", b"{}]", ARRAY),
        (b"[[", b"[],", b"[]]]", ARRAY),
        (b"[", b"[", b"", ARRAY),
        (b"", b"\n", b"", LINES),
        (b"", b" \n", b"", LINES),
        (b"", b"0\n", b"", LINES),
        (b"", b" ", b"", LINES),
    ],
)
def test_a_body_full_of_next_to_nothing_costs_little(
    begin: bytes, item: bytes, end: bytes, media_type: str
) -> None:
    body = begin + item * ((RECORD.most - len(begin + end)) // len(item)) + end

    def read() -> Iterator[None]:
        with pytest.raises(NotItems, match="expected"):
            items_of(body, media_type)
        yield

    assert largest_step(read, MOST_SECONDS) <= MOST_SECONDS
    tracemalloc.start()
    try:
        next(read())
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes <= MOST_BYTES


def test_the_bounds_of_an_array_are_no_bounds_of_real_items() -> None:
    full = {
        **orjson.loads(SEND),
        "contact": {"id": 1, "phone": "+15550001", "wa_id": "15550001", "user_id": "NL.1"},
        "template": {"name": "promo", "language": "en", "category": "marketing"},
        "attempt": 1,
    }
    item = orjson.dumps(full)
    count = RECORD.most // (len(item) + 1)
    body = b"[" + b",".join([item] * count) + b"]"
    assert elements(body) < MOST_ELEMENTS * 3 // 4
    assert len(items_of(body, ARRAY)) == count


def test_an_item_is_read_as_route_reads_it_and_its_tenant_is_the_paths() -> None:
    assert bad(SEND) == []
    assert bad(SEND, "t2") == [("foreign_tenant", "$.tenant")]
    assert bad(SEND.replace(b"accepted", b"sent")) == [("wrong_type", "$.outcome")]
    assert bad(SEND.replace(b'"t1"', b"null")) == [("missing_field", "$.tenant")]
    assert bad(b"[" * 5_000) == [("not_json", "$")]
    assert bad(b"1") == [("wrong_type", "$")]
    repeated = SEND.replace(b'"channel"', b'"tenant": "t2", "channel"', 1)
    assert bad(repeated) == [("foreign_tenant", "$.tenant")]
    assert bad(repeated, "t2") == []


def test_what_says_nothing_of_a_campaign_has_no_key_to_be_kept_under() -> None:
    said = b'{"tenant": "t1", "campaign": "c1", "name": "November", "time": 1795350800000}'
    assert bad(said, topic="campaigns") == []
    assert bad(said.replace(b'"name": "November", ', b""), topic="campaigns") == [("missing_field", "$")]
