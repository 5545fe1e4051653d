"""The bounded, ordered buffer of packets that Kafka has not acknowledged yet."""

import asyncio
from collections import deque
from itertools import islice

from msgspec import Struct

from tally.agents.clock import wait_for

MAX_RECORDS = 50_000
MAX_BYTES = 64 << 20


class ReceivedPacket(Struct, frozen=True):
    """One packet as received."""

    value: bytes
    received_at_ms: int
    malformed: str = ""
    """Why it is malformed; empty for a valid packet."""


class Buffer:
    """Buffer between the reader of one PBX, which must never wait, and Kafka, which may be away."""

    def __init__(self, max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._packets: deque[ReceivedPacket] = deque()
        self.bytes = 0
        self._notified = asyncio.Event()
        """Set by `put`, and by `notify` to wake a waiter without a record."""
        self._has_room = asyncio.Event()
        self._has_room.set()

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def oldest_at_ms(self) -> int | None:
        """When the oldest record was received; None if the buffer is empty."""
        return self._packets[0].received_at_ms if self._packets else None

    def put(self, packet: ReceivedPacket) -> bool:
        """Append a record and return True; return False if it does not fit, and keep the others."""
        if len(self._packets) >= self._max_records or self.bytes + len(packet.value) > self._max_bytes:
            self._has_room.clear()
            return False
        self._packets.append(packet)
        self.bytes += len(packet.value)
        self._notified.set()
        return True

    def head(self, max_records: int) -> list[ReceivedPacket]:
        """Return the oldest records without removing them."""
        return list(islice(self._packets, max_records))

    def drop(self, count: int) -> None:
        """Remove the oldest records, which Kafka has acknowledged."""
        for _ in range(count):
            self.bytes -= len(self._packets.popleft().value)
        if len(self._packets) <= self._max_records // 2 and self.bytes <= self._max_bytes // 2:
            self._has_room.set()

    def notify(self) -> None:
        """Wake a waiter for records."""
        self._notified.set()

    async def wait_for_records(self, seconds: float) -> None:
        """Wait for a record or for `notify`, at most `seconds`."""
        await wait_for(self._notified, seconds)
        self._notified.clear()

    async def wait_for_room(self, seconds: float) -> bool:
        """Wait until a full buffer has drained to half; return whether it has within `seconds`."""
        await wait_for(self._has_room, seconds)
        return self._has_room.is_set()
