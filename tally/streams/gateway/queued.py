"""Records that wait for the brokers: the parts of publications, and the queue of each topic."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from tally.tables.kafka.batches import Headers

BATCH_BYTES = 512 << 10

Ending = Literal["safe", "not_acknowledged", "too_large"]
"""How a publication ended: all in-sync replicas have it, nobody knows whether, or its size is refused.

It is a value and no exception: where thousands wait in vain, each exception would keep the frames of its
request, with the body, in a cycle until the next collection of garbage.
"""


class Record(Struct, frozen=True):
    """One raw event, and what is known of it beside its bytes."""

    value: bytes
    headers: Headers
    key: bytes | None = None
    """Its key in a compacted topic, which decides its partition; others are spread."""


class Part:
    """Some records of one publication that go together."""

    __slots__ = ("_ended", "due_s", "records", "size_bytes")

    def __init__(self, records: Sequence[Record], due_s: float, ended: Callable[[Ending], None]) -> None:
        self.records = records
        self.size_bytes = sum([len(record.value) for record in records])
        self.due_s = due_s
        """Until when somebody waits for it, by the clock of the event loop."""
        self._ended: Callable[[Ending], None] | None = ended

    def end(self, ending: Ending) -> None:
        """Tell who waits for it, unless it has ended already."""
        if (ended := self._ended) is not None:
            self._ended = None
            ended(ending)

    def forget(self) -> None:
        """Tell nobody: who waited has gone."""
        self._ended = None


class Queue:
    """The parts of one topic that nobody has taken yet, in their order."""

    def __init__(self) -> None:
        self._parts: dict[Part, None] = {}
        self._filled = asyncio.Event()

    def put(self, part: Part) -> None:
        """Add a part."""
        self._parts[part] = None
        self._filled.set()

    def drop(self, part: Part) -> None:
        """Forget a part that was given up, if it is still here."""
        self._parts.pop(part, None)

    async def filled(self) -> None:
        """Return once there may be a part."""
        await self._filled.wait()

    def expire(self, now_s: float) -> None:
        """End and forget all parts that nobody waits for any longer."""
        for part in [part for part in self._parts if part.due_s <= now_s]:
            part.end("not_acknowledged")
            del self._parts[part]

    def next_batch(self) -> list[Part]:
        """Return the first parts, one or as many as a batch holds; they are no longer here."""
        taken: list[Part] = []
        size_bytes = 0
        for part in self._parts:
            if taken and size_bytes + part.size_bytes > BATCH_BYTES:
                break
            taken.append(part)
            size_bytes += part.size_bytes
        for part in taken:
            del self._parts[part]
        if not self._parts:
            self._filled.clear()
        return taken


def in_parts(records: Sequence[Record]) -> list[Sequence[Record]]:
    """Return records in parts of at most a batch's bytes, in their order; a larger record is a part. Pure."""
    if len(records) == 1:
        return [records]
    parts: list[Sequence[Record]] = []
    part: list[Record] = []
    size_bytes = 0
    for record in records:
        if part and size_bytes + len(record.value) > BATCH_BYTES:
            parts.append(part)
            part, size_bytes = [], 0
        part.append(record)
        size_bytes += len(record.value)
    return [*parts, part] if part else parts
