"""Reading dead letters back: what could not be counted, and why.

Anybody may have written to their topic, and there may be millions of them: one is read after the other, and
what is none is counted and passed over.
"""

import heapq
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from msgspec import Struct, field, structs

from tally.schemas import bounds
from tally.schemas.bounds import Bound
from tally.schemas.errors import REASONS
from tally.schemas.topics import DEAD_LETTERS
from tally.streams.settings import Settings
from tally.tables.kafka.dead_letters import DETAILED_PARTS
from tally.tables.kafka.read_to_end import read_to_end, time_of

DEADLINE_SECONDS = 120.0
REMEMBERED = 100_000
"""Origins, to list a letter once that a killed worker wrote twice: it begins again where it was last safe."""
_MORE = re.compile(r"; and (\d+) more$")
EARLIER_MS = 60_000
"""Brokers' clocks agree within it, so that no letter is older than its record by more."""


class StoredDeadLetter(Struct, frozen=True):
    """One raw record that could not be counted, wholly or in part."""

    origin: str
    """`topic/partition/offset` of the raw record: the dead letter's name."""
    reason: str
    detail: str
    at_ms: int
    key: bytes | None
    value: bytes
    """The original bytes, or their first and last ones in one piece."""
    size_bytes: int
    """Of the original bytes."""
    sha256: str = ""
    """Of the original bytes, where `value` is not all of them."""


class Summary(Struct):
    """How many dead letters there are, and the newest of them, without their bytes."""

    newest: list[StoredDeadLetter] = []
    by_reason: Counter[str] = field(default_factory=Counter)
    by_bound: Counter[str] = field(default_factory=Counter)
    """How many were beyond a bound, or were cut at one."""
    foreign: int = 0
    """Records of the topic that are no dead letters."""


async def read(settings: Settings) -> list[StoredDeadLetter]:
    """Return all dead letters with their bytes, oldest first: for few of them."""
    letters = [letter async for letter in each(settings) if letter is not None]
    return sorted(letters, key=_age)


async def each(
    settings: Settings, since_ms: int | None = None
) -> AsyncGenerator[StoredDeadLetter | None, None]:
    """Yield each dead letter once, those of each partition in order; None for what is none.

    Raises KafkaError, TimeoutError.
    """
    seen: dict[str, None] = {}
    topic = settings.names.raw(DEAD_LETTERS)
    async with aclosing(read_to_end(settings.kafka, [topic], DEADLINE_SECONDS, since_ms)) as records:
        async for record in records:
            letter = letter_of(record)
            if letter is None:
                yield None
            elif letter.origin not in seen:
                seen[letter.origin] = None
                if len(seen) > REMEMBERED:
                    del seen[next(iter(seen))]
                yield letter


async def summary(settings: Settings, reason: str = "", limit: int = 0) -> Summary:
    """Count dead letters, and keep the newest so many of one reason or of all."""
    found = Summary()
    newest: list[tuple[tuple[int, str], StoredDeadLetter]] = []
    async for letter in each(settings):
        if letter is None:
            found.foreign += 1
        elif reason in ("", letter.reason):
            found.by_reason[letter.reason] += 1
            found.by_bound.update(bound.name for bound in beyond(letter))
            if limit:
                push = heapq.heappush if len(newest) < limit else heapq.heappushpop
                push(newest, (_age(letter), structs.replace(letter, value=b"")))
    found.newest = [letter for _, letter in sorted(newest, key=lambda one: one[0])]
    return found


async def find(settings: Settings, origin: str) -> StoredDeadLetter | None:
    """Return the dead letter of a raw record, or None. Raises ValueError where that is no origin.

    Begins at the time of the raw record, if that is still there: no letter is older.
    """
    topic, partition, offset = _place(origin)
    at_ms = await time_of(settings.kafka, topic, partition, offset, DEADLINE_SECONDS)
    since_ms = None if at_ms is None else max(at_ms - EARLIER_MS, 0)
    async with aclosing(each(settings, since_ms)) as letters:
        async for letter in letters:
            if letter is not None and letter.origin == origin:
                return letter
    return None


def _place(origin: str) -> tuple[str, int, int]:
    topic, *numbers = origin.rsplit("/", 2)
    try:
        partition, offset = map(int, numbers)
    except ValueError:
        raise ValueError(f"{origin!r} is no topic/partition/offset") from None
    return topic, partition, offset


def _age(letter: StoredDeadLetter) -> tuple[int, str]:
    return letter.at_ms, letter.origin


def letter_of(record: Any) -> StoredDeadLetter | None:
    """Return a dead letter from its record, or None where somebody else wrote it. Pure."""
    headers = dict(_texts(record.headers))
    value = record.value or b""
    try:
        origin = f"{headers['topic']}/{int(headers['partition'])}/{int(headers['offset'])}"
        at_ms, size_bytes = int(headers["at"]), int(headers.get("size", len(value)))
        reason, detail = headers["reason"], headers["detail"]
    except (KeyError, ValueError):
        return None
    if reason not in REASONS or not 0 <= at_ms < 1 << 48:
        return None
    return StoredDeadLetter(
        origin, reason, detail, at_ms, record.key, value, size_bytes, headers.get("sha256", "")
    )


def beyond(letter: StoredDeadLetter) -> list[Bound]:
    """Return the bounds that a dead letter's record was beyond, or that cut the letter. Pure."""
    found = []
    if letter.reason == "too_large" and letter.detail.startswith("too_large at a batch,"):
        found.append(bounds.BATCH)
    elif letter.reason == "too_large" and letter.size_bytes > bounds.RECORD.most:
        found.append(bounds.RECORD)
    elif letter.reason == "too_many_parts":
        found.append(bounds.ELEMENTS)
    elif (
        letter.reason == "bad_packet" and letter.value.strip(b"\r\n").count(b"\n") >= bounds.PACKET_LINES.most
    ):
        found.append(bounds.PACKET_LINES)
    if (more := _MORE.search(letter.detail)) and DETAILED_PARTS + int(more[1]) > bounds.BAD_PARTS.most:
        found.append(bounds.BAD_PARTS)
    if letter.sha256:
        found.append(bounds.LETTER_END)
    if len(letter.key or b"") == bounds.LETTER_KEY.most:  # or just as long as it may be
        found.append(bounds.LETTER_KEY)
    return found


def _texts(headers: Any) -> Iterator[tuple[str, str]]:
    return ((name, value.decode(errors="replace")) for name, value in headers if value is not None)
