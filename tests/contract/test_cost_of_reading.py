"""Laws of cost: whatever a record holds, reading it takes 250 ms of CPU and 64 MiB at most."""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterable
from functools import partial

import pytest

from tally.schemas.bounds import BAD_PARTS, ELEMENTS, MIB, PACKET_LINES, RECORD
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.records import Routed
from tally.schemas.scan import elements
from tally.schemas.sources import READERS
from tally.simulator.records import AMI_EVENTS, SEND_RESULTS, WEBHOOK_EVENTS
from tests.support.cpu import slowness

CPU_SECONDS = 0.25
MEMORY_BYTES = 64 * MIB
TRIES = 5
Body = Callable[[], bytes]
"""Made when it is read: all of them together are 200 MB."""
PUBLISHED_MS = 1_795_350_900_000
HEADERS = [("pbx", b"pbx01"), ("received_at", b"1795350873000")]
GARBAGE = (b"1", b"{}", b"[]", b'""', b"null", b'{"id":1}', b'[{"a":[1]}]')
LISTS = ("statuses", "messages", "contacts", "errors", "user_id_update")
PACKET = b"Event: Hangup\r\nUniqueid: 1\r\nChannel: PJSIP/1\r\n"
EVENT = b'{"Event":"Hangup","Uniqueid":"1","Channel":"PJSIP/1",'
STATUS = b'{"id":"x%d","status":"sent","timestamp":"1795350873","recipient_id":"+1"}'
LATE = b'{"id":"x","status":"sent","timestamp":"253402300800"}'
ENTRY = b'{"object":"whatsapp_business_account","entry":['
CHANGES = b'{"changes":['
WIDE = "\U0001f600".encode()
"""One such character gives every other one of its text four bytes in memory."""


def filled(head: bytes, part: bytes, tail: bytes) -> bytes:
    """Return a body of as many parts, commas between them, as any reader has to take."""
    by_count = (ELEMENTS.most - elements(head + tail)) // (elements(part) + 1)
    by_size = (RECORD.most - len(head + tail)) // (len(part) + 1)
    return head + b",".join([part] * min(by_count, by_size)) + tail


def change(name: str, field: str = "messages") -> tuple[bytes, bytes]:
    """Return what stands before and after the parts of one of a change's lists."""
    value = b'{"metadata":{"phone_number_id":"1"},"%b":[' % name.encode()
    return b'{"field":"%b","value":%b' % (field.encode(), value), b"]}}"


def around(name: str) -> tuple[bytes, bytes]:
    """Return what stands before and after the parts of a POST's only list."""
    head, tail = change(name, name if name == "user_id_update" else "messages")
    return ENTRY + CHANGES + head, tail + b"]}]}"


def in_list(name: str, part: bytes, last: bytes = b"") -> bytes:
    head, tail = around(name)
    return filled(head, part, (b"," + last if last else b"") + tail)


def statuses(last: bytes = b"") -> bytes:
    """Return as many different statuses as there may be."""
    head, tail = around("statuses")
    count = (ELEMENTS.most - elements(head + tail + last) - 1) // (elements(STATUS) + 1)
    return head + b",".join([*(STATUS % nth for nth in range(count)), *([last] if last else [])]) + tail


def keys(count: int) -> bytes:
    return b",".join(b'"k%d":"1"' % nth for nth in range(count))


CAMPAIGNS = "campaigns"
DESCRIBED = b'{"tenant":"t1","campaign":"c1","time":1795350873904,'


def send_at(written: bytes) -> bytes:
    return b'{"tenant":1,"channel":"voice","outcome":"queued","campaign":1,"time":%b}' % written


def garbage(topic: str, part: bytes) -> Iterable[tuple[str, Body]]:
    """Yield each list of a topic's schema with nothing else in it."""
    if topic == WEBHOOK_EVENTS:
        yield "entry", lambda: filled(ENTRY, part, b"]}")
        yield "changes", lambda: filled(ENTRY + CHANGES, part, b"]}]}")
        yield from ((name, partial(in_list, name, part)) for name in LISTS)
    elif topic == SEND_RESULTS:
        yield "tenant", lambda: filled(b'{"tenant":[', part, b"]}")
        yield "error", lambda: filled(b'{"error":[', part, b"]}")
    elif topic == CAMPAIGNS:
        yield "tags", lambda: filled(DESCRIBED + b'"tags":[', part, b"]}")
        yield "limits", lambda: filled(DESCRIBED + b'"limits":[', part, b"]}")
    else:
        yield "a field", lambda: filled(EVENT + b'"a":[', part, b"]}")


FAILED = b'{"id":"x","status":"failed","timestamp":"1795350873","errors":[{"code":1}]}'
FAILURE = b'{"id":"x","status":"failed","timestamp":1795350873,"errors":[%b]}' % b",".join(
    [b'{"code":1}'] * 30_000
)
SYSTEM = (
    b'{"id":"x","type":"system","timestamp":"1795350873","from":"+1","system":{"wa_id":"+2","user_id":"u"}}'
)
RENAME = b'{"wa_id":"+1","user_id":{"previous":"a","current":"b"}}'
LONG = WIDE + b"a" * 4_000_000
ESCAPES = b",".join([b'"CAMPAIGN_ID=%b"' % (b"\\\\n" * 1_300)] * (PACKET_LINES.most - 10))
ESCAPED_LINE = b"ChanVariable: CAMPAIGN_ID=%b\r\n" % (b"\\n" * 2_000)

SHAPES: dict[str, dict[str, Body]] = {
    WEBHOOK_EVENTS: {
        "an entry for each change": lambda: filled(ENTRY, b'{"changes":[1]}', b"]}"),
        "a change for each status": lambda: filled(ENTRY + CHANGES, b"1".join(change("statuses")), b"]}]}"),
        "other fields": lambda: filled(ENTRY + CHANGES, b'{"field":"x"}', b"]}]}"),
        "statuses": statuses,
        "statuses, and a bad one at the end": lambda: statuses(LATE),
        "statuses, all too late": lambda: in_list("statuses", LATE),
        "failures": lambda: in_list("statuses", FAILED),
        "failures of many errors": lambda: in_list("statuses", FAILURE),
        "messages": lambda: in_list("messages", SYSTEM),
        "contacts": lambda: in_list("contacts", b'{"wa_id":"+1","user_id":"x"}'),
        "renames": lambda: in_list("user_id_update", RENAME),
        "keys of a status": lambda: in_list("statuses", b"{%b}" % keys(79_000)),
        "depth": lambda: in_list("statuses", b"[" * 900 + b"]" * 900),
        "one long text": lambda: in_list("statuses", b'{"id":"%b"}' % LONG),
        "one long number": lambda: in_list("statuses", b'{"id":%b}' % (b"1" * 4_000_000)),
        "escapes": lambda: in_list("statuses", b'{"id":"%b"}' % (b"\\n" * 2_000_000)),
    },
    SEND_RESULTS: {
        "keys": lambda: b"{%b}" % keys(79_000),
        "one long text": lambda: b'{"tenant":"%b"}' % LONG,
        "a long time": lambda: send_at(b'"2026-11-22T12:34:34.%bZ"' % (b"1" * 4_000_000)),
        "a time of many digits": lambda: send_at(b"1" * 4_000_000),
    },
    AMI_EVENTS: {
        "keys": lambda: EVENT + keys(79_000) + b"}",
        "variables": lambda: filled(EVENT + b'"ChanVariable":[', b'"CAMPAIGN_ID=1"', b"]}"),
        "a long variable": lambda: EVENT + b'"ChanVariable":["CAMPAIGN_ID=%b"]}' % LONG,
        "variables of escapes": lambda: EVENT + b'"ChanVariable":[' + ESCAPES + b"]}",
        "lines": lambda: PACKET + b"a:\n" * 1_300_000,
        "empty lines": lambda: PACKET + b"\n" * 4_000_000 + b"a: b",
        "one long line": lambda: PACKET + b"a: " + LONG,
        "lines of escapes": lambda: PACKET + ESCAPED_LINE * (PACKET_LINES.most - 10),
    },
    CAMPAIGNS: {
        "keys": lambda: b"{%b}" % keys(79_000),
        "one long name": lambda: DESCRIBED + b'"name":"%b"}' % LONG,
        "tags": lambda: filled(DESCRIBED + b'"tags":[', b'"a"', b"]}"),
        "limits": lambda: DESCRIBED + b'"limits":{%b}}' % keys(79_000),
        "a long number": lambda: DESCRIBED + b'"planned":%b}' % (b"1" * 4_000_000),
    },
}
SHAPED = [
    pytest.param(topic, body, id=f"{topic}: {name}")
    for topic, shapes in SHAPES.items()
    for name, body in shapes.items()
]
GARBAGES = [
    pytest.param(topic, body, id=f"{topic}: {name} of {part.decode()}")
    for topic in SHAPES
    for part in GARBAGE
    for name, body in garbage(topic, part)
]


def read(topic: str, body: bytes) -> Routed:
    return READERS[topic](body, HEADERS, CONVENTIONS, PUBLISHED_MS)


def takes_too_long(topic: str, body: bytes) -> bool:
    """Return whether not one of five readings keeps to its CPU: the others may have met a busy machine."""
    for _ in range(TRIES):
        gc.collect()
        began = time.process_time()
        read(topic, body)
        seconds = time.process_time() - began
        if seconds <= CPU_SECONDS or seconds / slowness() <= CPU_SECONDS:
            return False
    return True


def peak_bytes(topic: str, body: bytes) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        read(topic, body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("topic", "body"), [*SHAPED, *GARBAGES])
def test_reading_whatever_passes_the_byte_scan_takes_a_quarter_of_a_second_at_most(
    topic: str, body: Body
) -> None:
    value = body()

    assert len(value) <= RECORD.most
    assert elements(value) <= ELEMENTS.most
    assert not takes_too_long(topic, value)


@pytest.mark.parametrize(("topic", "body"), SHAPED)
def test_reading_whatever_passes_the_byte_scan_takes_64_mib_at_most(topic: str, body: Body) -> None:
    assert peak_bytes(topic, body()) <= MEMORY_BYTES


@pytest.mark.parametrize("part", GARBAGE)
def test_reading_a_list_of_garbage_takes_64_mib_at_most(part: bytes) -> None:
    assert peak_bytes(WEBHOOK_EVENTS, in_list("statuses", part)) <= MEMORY_BYTES


@pytest.mark.parametrize("topic", [WEBHOOK_EVENTS, SEND_RESULTS, AMI_EVENTS])
@pytest.mark.parametrize("count", [ELEMENTS.most - 1, ELEMENTS.most, ELEMENTS.most + 1])
@pytest.mark.parametrize("one", [b"1,", b"[],", b"{},", b'",",'])
def test_a_body_of_more_elements_than_the_bound_is_refused_before_it_is_parsed(
    topic: str, count: int, one: bytes
) -> None:
    head, tail = b'{"x":[', b"1]}"
    left = count - elements(head + tail)
    body = head + one * (left // elements(one)) + b"1," * (left % elements(one)) + tail
    assert elements(body) == count

    bad = [found.reason for found in read(topic, body).bad]

    assert (bad == ["too_many_parts"]) is (count > ELEMENTS.most)
    assert bad


def test_the_number_of_elements_is_asked_before_whether_it_is_json_at_all() -> None:
    assert [bad.reason for bad in read(SEND_RESULTS, b"[" * (ELEMENTS.most + 1)).bad] == ["too_many_parts"]
    assert [bad.reason for bad in read(SEND_RESULTS, b"[" * ELEMENTS.most).bad] == ["not_json"]


@pytest.mark.parametrize("count", [BAD_PARTS.most - 1, BAD_PARTS.most, BAD_PARTS.most + 1, 5_000])
def test_bad_parts_are_listed_up_to_a_hundred_and_counted_beyond_and_good_ones_between_them_count(
    count: int,
) -> None:
    parts = [*[b"1"] * (count // 2), STATUS % 1, *[b"{}"] * (count - count // 2), STATUS % 2]
    head, tail = around("statuses")

    routed = read(WEBHOOK_EVENTS, head + b",".join(parts) + tail)

    assert (len(routed.bad), routed.refused) == (min(count, BAD_PARTS.most), count)
    assert len(routed.facts) == 4
    assert routed.bad[0].where == "wrong_type at $.entry[0].changes[0].value.statuses[0]"


@pytest.mark.parametrize("count", [PACKET_LINES.most - 1, PACKET_LINES.most, PACKET_LINES.most + 1])
def test_a_packet_and_the_object_in_its_place_have_so_many_lines(count: int) -> None:
    packet = PACKET + b"a: b\r\n" * (count - 3)
    event = EVENT + b'"a":[' + b",".join([b'"b"'] * (count - 3)) + b"]}"

    for body in (packet, event):
        bad = [found.reason for found in read(AMI_EVENTS, body).bad]
        assert bad == (["bad_packet"] if count > PACKET_LINES.most else [])
