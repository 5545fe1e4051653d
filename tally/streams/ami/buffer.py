"""What was read from a PBX and is not yet safe in Kafka, in order and bounded."""

import asyncio
from collections import deque
from itertools import islice

from msgspec import Struct

from tally.agents.clock import wait_for

MAX_RECORDS = 50_000
MAX_BYTES = 64 << 20


class ReceivedPacket(Struct, frozen=True):
    """One packet as it came."""

    value: bytes
    received_at_ms: int
    malformed: str = ""
    """Why it is no packet; empty for one that is."""


class Buffer:
    """Between the reader of one PBX, which may never wait, and Kafka, which may be away."""

    def __init__(self, max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._packets: deque[ReceivedPacket] = deque()
        self.bytes = 0
        self._notified = asyncio.Event()
        """Something was put, or whoever waits for that should look around."""
        self._has_room = asyncio.Event()
        self._has_room.set()

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def oldest_at_ms(self) -> int | None:
        """When the oldest record was received; None where there is none."""
        return self._packets[0].received_at_ms if self._packets else None

    def put(self, packet: ReceivedPacket) -> bool:
        """Append a record; say False, and keep what is there, where it does not fit."""
        if len(self._packets) >= self._max_records or self.bytes + len(packet.value) > self._max_bytes:
            self._has_room.clear()
            return False
        self._packets.append(packet)
        self.bytes += len(packet.value)
        self._notified.set()
        return True

    def head(self, max_records: int) -> list[ReceivedPacket]:
        """Return the oldest records, which stay."""
        return list(islice(self._packets, max_records))

    def drop(self, count: int) -> None:
        """Forget the oldest records: they are safe."""
        for _ in range(count):
            self.bytes -= len(self._packets.popleft().value)
        if len(self._packets) <= self._max_records // 2 and self.bytes <= self._max_bytes // 2:
            self._has_room.set()

    def notify(self) -> None:
        """Wake who waits for a record."""
        self._notified.set()

    async def wait_for_records(self, seconds: float) -> None:
        """Wait for a record, or to be woken, but no longer than so many seconds."""
        await wait_for(self._notified, seconds)
        self._notified.clear()

    async def wait_for_room(self, seconds: float) -> bool:
        """Wait until a buffer that was full has drained to half; say whether it has within the time."""
        await wait_for(self._has_room, seconds)
        return self._has_room.is_set()
