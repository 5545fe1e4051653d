"""A fast path returns the same as the full reader, or leaves the event to it."""

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import load
from tally.schemas.bounds import ELEMENTS
from tally.schemas.records import Routed
from tally.schemas.scan import elements
from tally.schemas.sends.fast import read_send_fast
from tally.schemas.sends.full import read_send
from tally.schemas.whatsapp.fast import read_statuses, read_uncounted
from tally.schemas.whatsapp.full import read_webhook
from tally.schemas.whatsapp.status import priced
from tally.simulator.campaign import campaign
from tally.simulator.noise import OF_A_NUMBER, OF_THE_ACCOUNT
from tally.simulator.poison import poisons
from tally.simulator.population import Size
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, as_meta_writes
from tally.simulator.samples import change_of, sample

READERS: dict[str, tuple[tuple[Any, ...], Any]] = {
    WEBHOOK_EVENTS: ((read_statuses, read_uncounted), read_webhook),
    SEND_RESULTS: ((read_send_fast,), read_send),
}
START_S = 1_700_000_000
PUBLISHED_MS = (START_S - 86_000) * 1000
"""Kafka's time of records of which some are of a day later, and some are not."""
STRANGE: tuple[Any, ...] = (
    *(
        None,
        "",
        0,
        1,
        -1,
        1.0,
        1e300,
        True,
        [],
        {},
        [{}],
        "x",
        "\0",
        "é",
        "0",
        "1",
        "call",
        "9" * 13,
        "x" * 513,
    ),
    *("2025-11-01T10:00:00Z", "AB-1", "550E8400-E29B-41D4-A716-446655440000", "en-US", "failed", "deleted"),
    *({"code": 1}, [{"code": 5}], {"category": 1, "type": None}, 2**63, 2**64, 10**30, 10**400, 253402300800),
    *(START_S, str(START_S), START_S * 1000, 1_230_767_999, "1230768000", "1999-12-31T00:00:00Z"),
    *([{"code": 2**64}], [{"code": -(2**63) - 1}], [{"code": 131026, "x": 10**400}]),
)
HUGE = (b"1e999", b"0" * 399)
KNOWN = (
    "type",
    "recipient_type",
    "errors",
    "pricing",
    "error",
    "attempt",
    "v",
    "campaign",
    "messages",
    "field",
)


def _said(routed: Routed) -> tuple[Any, ...]:
    return routed.facts, routed.bad, routed.refused, routed.seen


def _agree(topic: str, value: bytes | None) -> bool:
    """Assert that the fast paths agree where they speak; return whether one did."""
    fast, full = READERS[topic]
    spoken = 0
    for published_ms in (None, PUBLISHED_MS):
        for read in fast:
            said = read(value) if read is read_uncounted else read(value, published_ms)
            if said is None:
                continue
            spoken += published_ms is None
            if read is read_uncounted and not said.facts and _is_too_large_for_the_full_reader(value):
                continue
            assert _said(said) == _said(full(value, published_ms)), value
    return bool(spoken)


def _is_too_large_for_the_full_reader(value: bytes | None) -> bool:
    """Return whether a number is in the body that only its parser refuses."""
    return value is not None and any(huge in value for huge in HUGE) and bool(json.loads(value))


def _simulated() -> list[tuple[str, bytes | None]]:
    records = campaign(Random(11), START_S, Size(contacts_per_campaign=60))
    return [(record.topic, record.value) for record in records if record.topic in READERS]


SIMULATED = _simulated()


def test_both_readers_agree_on_everything_that_is_simulated() -> None:
    spoken = sum(_agree(topic, value) for topic, value in SIMULATED)
    assert spoken > len(SIMULATED) / 4


def test_nearly_all_of_the_benchmarks_load_is_usual() -> None:
    records = load.load(load.Size(300), seed=1)
    usual = sum(_agree(record.topic, record.value) for record in records)
    assert usual > 0.95 * len(records)


def test_webhooks_of_other_fields_that_count_nothing_are_read_by_the_fast_path() -> None:
    assert len(IDLE) >= 3
    assert all(read_uncounted(value) and _agree(WEBHOOK_EVENTS, value) for value in IDLE)


def test_whoever_is_named_in_another_field_is_left_to_the_full_reader() -> None:
    body = {"field": "message_echoes", "value": {"contacts": [{"wa_id": "1", "user_id": "u"}]}}
    entry = {"object": "whatsapp_business_account", "entry": [{"changes": [body]}]}

    assert read_uncounted(json.dumps(entry).encode()) is None
    assert read_uncounted(json.dumps(entry).replace("contacts", "cont\\u0061cts").encode()) is None


@pytest.mark.parametrize("poison", poisons(), ids=lambda poison: poison.reason)
def test_both_readers_agree_on_poison(poison: Any) -> None:
    if poison.topic in READERS:
        _agree(poison.topic, poison.value)


def _places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container of a JSON value with each of its keys or indices."""
    if isinstance(part, dict | list):
        for key in list(part) if isinstance(part, dict) else range(len(part)):
            yield part, key
            yield from _places(part[key])


def _change(container: Any, key: Any, data: st.DataObject) -> None:
    """Take something away, put something strange in its place, or add something."""
    strange = deepcopy(data.draw(st.sampled_from(STRANGE)))
    change = data.draw(st.sampled_from(("replace", "delete", "add")))
    if change == "replace":
        container[key] = strange
    elif change == "delete":
        del container[key]
    elif isinstance(container, list):
        container.append(deepcopy(container[key]))
    else:
        container[data.draw(st.sampled_from(KNOWN))] = strange


def _is_fast(topic: str, value: bytes) -> bool:
    return any(read(value) is not None for read in READERS[topic][0])


OTHER_FIELDS = [
    as_meta_writes(sample(name))
    for name in (*OF_THE_ACCOUNT, *OF_A_NUMBER)
    if change_of(sample(name))["field"] != "messages"
]
IDLE = [value for value in OTHER_FIELDS if not READERS[WEBHOOK_EVENTS][1](value).facts]
GOOD = [(topic, value) for topic, value in SIMULATED if value and _is_fast(topic, value)]
GOOD += [(WEBHOOK_EVENTS, value) for value in IDLE]


@settings(max_examples=600)
@given(st.sampled_from(GOOD), st.data())
def test_both_readers_agree_on_usual_events_with_something_strange_in_them(
    event: tuple[str, bytes], data: st.DataObject
) -> None:
    topic, value = event
    body = orjson.loads(value)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(_places(body))))
        _change(container, key, data)
        if not list(_places(body)):
            break
    _agree(topic, json.dumps(body).encode())


@settings(max_examples=300)
@given(st.sampled_from(GOOD), st.data())
def test_both_readers_agree_on_usual_events_with_broken_bytes(
    event: tuple[str, bytes], data: st.DataObject
) -> None:
    topic, value = event
    at = data.draw(st.integers(0, len(value)))
    piece = data.draw(
        st.sampled_from(
            (b"", b"\xff", b"\xc3", b"\\u0000", b"\\ud800", b"\0", b"1e999", b'"', b"}", b"]", b" ", b"\\/")
        )
    )
    _agree(topic, value[:at] + piece + value[at + data.draw(st.integers(0, 3)) :])


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_fast_paths_leave_what_has_too_many_elements_to_the_full_reader(more: int) -> None:
    status = b'{"id":"w","status":"sent","timestamp":"1700000000","biz_opaque_callback_data":"%b"}'
    value = b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":' + (
        b'{"metadata":{"phone_number_id":"1"},"statuses":[%b]}}]}]}' % status
    )
    body = value % (b"," * (ELEMENTS.most + more - elements(value)))

    assert elements(body) == ELEMENTS.most + more
    assert (read_statuses(body) is None) is (more > 0)
    assert _agree(WEBHOOK_EVENTS, body) is (more <= 0)
    assert [bad.reason for bad in read_webhook(body).bad] == ["too_many_parts"] * (more > 0)


def test_a_price_of_four_megabytes_is_not_remembered() -> None:
    """What is remembered of prices has the length of its key, which is the sender's."""
    price = {"category": "c" * 1_000_000, "type": "t" * 1_000_000}
    part = {"id": "w", "status": "sent", "timestamp": "1700000000", "pricing": price}
    value = {"metadata": {"phone_number_id": "1"}, "statuses": [part]}
    change = {"field": "messages", "value": value}
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}
    priced.cache_clear()

    assert read_statuses(orjson.dumps(body)) is None
    assert len(read_webhook(orjson.dumps(body)).facts) == 1
    assert priced.cache_info().currsize == 1
    assert priced("sent", 1_700_000_000, "c" * 128, "t" * 128)
    assert priced.cache_info().currsize == 1
