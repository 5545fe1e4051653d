"""Recorded AMI sessions as records of `ami-events`, as a collector would have published them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tally.schemas.records import Keyed
from tally.schemas.sources import READERS

FOLDER = Path(__file__).parents[1] / "samples" / "ami"
SESSIONS = sorted(path for path in FOLDER.iterdir() if path.suffix == ".ami")
CAPTURES = sorted(FOLDER.glob("cacofonisk__*[a-z0-9].json"))
CAPTURED_MS = 1_600_000_000_000
"""Receive time of a capture's first event. Captures hold no times, so events are spaced by 100 ms."""


class Received(NamedTuple):
    """An event as a collector publishes it."""

    value: bytes
    received_at_ms: int

    def headers(self, pbx: str = "pbx01") -> tuple[tuple[str, bytes], ...]:
        return (("pbx", pbx.encode()), ("received_at", str(self.received_at_ms).encode()))


def recordings() -> list[Path]:
    return [*SESSIONS, *(path for path in CAPTURES if not path.name.endswith(".expected.json"))]


def story_of(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.expected.json").read_bytes()))


def read_recording(path: Path) -> list[Received]:
    if path.suffix == ".json":
        return list(_capture(path))
    (recording,) = story_of(path.stem)["recordings"]
    return list(_session(path, recording["received_at"]))


def _session(path: Path, at_ms: int) -> Iterator[Received]:
    """Yield the events of a session; an event without Timestamp gets the time of the one before it."""
    packets = path.read_bytes().partition(b"\r\n")[2].split(b"\r\n\r\n")
    stamps = [_stamp_ms(packet) for packet in packets]
    for packet, stamp in zip(packets, stamps, strict=True):
        at_ms = max(at_ms, stamp)
        if packet.startswith(b"Event: "):
            yield Received(packet, at_ms)


def _stamp_ms(packet: bytes) -> int:
    lines = [line for line in packet.split(b"\r\n") if line.startswith(b"Timestamp: ")]
    return int(float(lines[0][11:]) * 1000) if lines and packet.startswith(b"Event: ") else 0


def _capture(path: Path) -> Iterator[Received]:
    for number, event in enumerate(json.loads(path.read_bytes())):
        # An artefact of the capturing library, absent on the wire.
        event.pop("content", None)
        yield Received(json.dumps(event).encode(), CAPTURED_MS + number * 100)


def facts_of(events: list[Received], pbx: str = "pbx01") -> list[Keyed]:
    routed = [READERS["ami-events"](event.value, event.headers(pbx)) for event in events]
    assert not [bad for one in routed for bad in one.bad]
    return [fact for one in routed for fact in one.facts]


def facts_of_sends(sends: list[dict[str, Any]]) -> list[Keyed]:
    routed = [READERS["send-results"](json.dumps(send).encode()) for send in sends]
    assert not [bad for one in routed for bad in one.bad]
    return [fact for one in routed for fact in one.facts]
