"""Reads back dead letters: the records that could not be counted, with the reasons.

There may be millions of them, so they are read as a stream. Other producers may have written to the topic;
records that are not dead letters are counted and skipped.
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
from tally.tables.kafka.dead_letters import DETAILED_PARTS, OWN, WITHOUT_OWN
from tally.tables.kafka.read_to_end import read_to_end, time_of

DEADLINE_SECONDS = 120.0
REMEMBERED = 100_000
"""Number of origins kept to list each letter once. A killed worker may write a letter twice, since its
successor restarts at the last commit."""
_MORE = re.compile(r"; and (\d+) more$")
REPLAY_OF = "replay-of"
"""The header of a record that was published again: the origin of the first of them."""
EARLIER_MS = 60_000
"""Largest difference of brokers' clocks: a letter's timestamp is at most this much before its record's."""


class StoredDeadLetter(Struct, frozen=True):
    """One raw record that could not be counted, in whole or in part."""

    origin: str
    """`topic/partition/offset` of the raw record: the dead letter's name."""
    reason: str
    detail: str
    at_ms: int
    key: bytes | None
    value: bytes
    """The original bytes, or their first and last ones concatenated."""
    size_bytes: int
    """Size of the original bytes."""
    sha256: str = ""
    """Digest of the original bytes, if `value` does not hold all of them."""
    headers: tuple[tuple[str, bytes | None], ...] = ()
    """The record's own headers."""
    is_without_headers: bool = False
    """Whether the record had headers that are not kept."""

    @property
    def name(self) -> str:
        """The origin of the record, or of the one that it was published again for."""
        again = dict(self.headers).get(REPLAY_OF)
        return self.origin if again is None else again.decode(errors="replace")

    def without_bytes(self) -> "StoredDeadLetter":
        """Return the letter without the record's bytes."""
        return structs.replace(self, value=b"", headers=())

    @property
    def is_whole(self) -> bool:
        """Whether all of the record is here: key, value and headers."""
        return not (self.sha256 or self.is_without_headers or len(self.key or b"") >= bounds.LETTER_KEY.most)


class Summary(Struct):
    """The number of dead letters, and the newest ones without their bytes."""

    newest: list[StoredDeadLetter] = []
    by_reason: Counter[str] = field(default_factory=Counter)
    by_bound: Counter[str] = field(default_factory=Counter)
    """How many were beyond each bound or were cut at it."""
    foreign: int = 0
    """Records of the topic that are not dead letters."""


async def read(settings: Settings) -> list[StoredDeadLetter]:
    """Return all dead letters with their bytes, oldest first. They are all held in memory."""
    letters = [letter async for letter in each(settings) if letter is not None]
    return sorted(letters, key=_age)


async def each(
    settings: Settings, since_ms: int | None = None, deadline_seconds: float = DEADLINE_SECONDS
) -> AsyncGenerator[StoredDeadLetter | None, None]:
    """Yield each dead letter once, in order within each partition; None for any other record.

    A record that was published again, and is still bad, is the same letter. Raises KafkaError, TimeoutError.
    """
    seen: dict[str, None] = {}
    topic = settings.names.raw(DEAD_LETTERS)
    async with aclosing(read_to_end(settings.kafka, [topic], deadline_seconds, since_ms)) as records:
        async for record in records:
            letter = letter_of(record)
            if letter is None:
                yield None
            elif letter.name not in seen:
                seen[letter.name] = None
                if len(seen) > REMEMBERED:
                    del seen[next(iter(seen))]
                yield letter


async def summary(settings: Settings, reason: str = "", limit: int = 0) -> Summary:
    """Count the dead letters of one reason or of all, and keep the `limit` newest."""
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
                push(newest, (_age(letter), letter.without_bytes()))
    found.newest = [letter for _, letter in sorted(newest, key=lambda one: one[0])]
    return found


async def find(settings: Settings, origin: str) -> StoredDeadLetter | None:
    """Return the dead letter of a raw record, or None. Raises ValueError if `origin` is malformed.

    Reading begins at the time of the raw record if it still exists: no letter is older.
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
    """Return a dead letter from its record; None if the record is not a dead letter. Pure."""
    headers = dict(_texts(record.headers))
    own = ((name.removeprefix(OWN), value) for name, value in record.headers if name.startswith(OWN))
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
        origin,
        reason,
        detail,
        at_ms,
        record.key,
        value,
        size_bytes,
        headers.get("sha256", ""),
        tuple(own),
        WITHOUT_OWN in headers,
    )


def beyond(letter: StoredDeadLetter) -> list[Bound]:
    """Return the bounds that the raw record exceeded or at which the letter was cut. Pure."""
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
    if len(letter.key or b"") == bounds.LETTER_KEY.most:  # cut, or exactly of the bound's length
        found.append(bounds.LETTER_KEY)
    return found


def _texts(headers: Any) -> Iterator[tuple[str, str]]:
    return ((name, value.decode(errors="replace")) for name, value in headers if value is not None)
