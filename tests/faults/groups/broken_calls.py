"""Recorded calls as no PBX should tell them: without their start, their end, their dials or their states."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from tally.simulator.calls import STORIES
from tally.simulator.recorded import Names, received_ms, replayed
from tally.simulator.records import AMI_EVENTS, SEND_RESULTS, RawRecord, as_producers_write

PBX = "pbx-jumps"
TENANT = "jumps"
CAMPAIGN = "broken-calls"
START_S = 1_795_350_000
APART_S = 600

Packets = list[bytes]


BREAKS: dict[str, Callable[[Packets], Packets]] = {
    "no start": lambda packets: packets[3:],
    "only the end": lambda packets: packets[-1:],
    "no end": lambda packets: packets[: len(packets) * 2 // 3],
    "no change of state": lambda packets: [one for one in packets if b"Event: Newstate" not in one],
    "no dial": lambda packets: [one for one in packets if b"Event: Dial" not in one],
}


def attempts() -> int:
    """Return how many attempts were asked for."""
    return len(BREAKS) * len(STORIES)


def broken_calls() -> list[RawRecord]:
    """Return every recorded story broken in every way, and then a list of channels, which is empty."""
    told = [one for one in _told() if one]
    listed = b"Event: CoreShowChannelsComplete\r\nActionID: list-1\r\nEventList: Complete\r\nListItems: 0"
    at_ms = (START_S + (len(told) + 1) * APART_S) * 1000
    return [*chain.from_iterable(told), _record(listed, at_ms)]


def _told() -> Iterator[list[RawRecord]]:
    serial = 0
    for break_ in BREAKS.values():
        for story in STORIES:
            serial += 1
            packets = replayed(story, _names(serial), START_S + serial * APART_S)
            yield [_requested(serial), *_records(break_(packets))]


def _names(serial: int) -> Names:
    return Names(PBX, serial, CAMPAIGN, f"c{serial}", "1")


def _records(packets: Sequence[bytes]) -> list[RawRecord]:
    return [_record(packet, received_ms(packet)) for packet in packets]


def _record(packet: bytes, at_ms: int) -> RawRecord:
    headers = (("pbx", PBX.encode()), ("received_at", b"%d" % at_ms), ("tenant", TENANT.encode()))
    return RawRecord(AMI_EVENTS, PBX.encode(), packet, headers)


def _requested(serial: int) -> RawRecord:
    names = _names(serial)
    result = {
        "tenant": TENANT,
        "channel": "voice",
        "campaign": CAMPAIGN,
        "contact": {"id": names.contact, "phone": f"+1555{serial:07d}"},
        "attempt": 1,
        "pbx": PBX,
        "call": {"action_id": names.action_id},
        "outcome": "requested",
        "time": (START_S + serial * APART_S) * 1000,
    }
    return RawRecord(SEND_RESULTS, None, as_producers_write(result))
