"""Publishes dead letters again: the original bytes, to the topic that they came from.

What a record says merges: its good parts count once however often it is published, so a replay may be
repeated, and may be stopped in the middle. What is still bad is the same dead letter as before.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from typing import Literal

from aiokafka.errors import MessageSizeTooLargeError
from msgspec import Struct, field

from tally.schemas.sources import RAW_TOPICS
from tally.simulator.records import RawRecord
from tally.streams.dev.publisher import Publisher
from tally.streams.operations.dead_letters import REPLAY_OF, StoredDeadLetter, each
from tally.streams.settings import Settings

DEADLINE_SECONDS = 3_600.0
AT_ONCE, BYTES_AT_ONCE = 1_000, 8 << 20
"""Letters that are published together, by number and by bytes."""

LeftOut = Literal["facts", "batches", "kept in part", "of another topic", "too large"]


class Wanted(Struct, frozen=True):
    """Which letters are published again; an empty value asks for nothing."""

    reason: str = ""
    topic: str = ""
    since_ms: int | None = None


class Replayed(Struct):
    """What was published again, by topic, and what cannot be."""

    by_topic: Counter[str] = field(default_factory=Counter)
    left_out: Counter[LeftOut] = field(default_factory=Counter)


def record_of(letter: StoredDeadLetter, topics: dict[str, str]) -> RawRecord | LeftOut:
    """Return the record that a letter keeps, or why it cannot be published. Pure.

    `topics` gives the raw topic of each full name.
    """
    topic = topics.get(letter.origin.rsplit("/", 2)[0])
    if letter.reason == "code_failure":
        return "facts"
    if f"{letter.reason} at a batch," in letter.detail:
        return "batches"
    if topic is None:
        return "of another topic"
    if not letter.is_whole:
        return "kept in part"
    own = tuple((name, value) for name, value in letter.headers if name != REPLAY_OF)
    return RawRecord(topic, letter.key, letter.value, (*own, (REPLAY_OF, letter.name.encode())))


async def replay(settings: Settings, wanted: Wanted, is_dry: bool = False) -> Replayed:
    """Publish the wanted letters that there are now; a dry run only counts them.

    Raises KafkaError, TimeoutError.
    """
    topics = {settings.names.raw(topic): topic for topic in RAW_TOPICS}
    found, waiting, size_bytes = Replayed(), list[RawRecord](), 0
    async with (
        Publisher(settings) as publisher,
        aclosing(each(settings, wanted.since_ms, DEADLINE_SECONDS)) as letters,
    ):

        async def publish() -> None:
            refused = [] if is_dry else await _publish(publisher, waiting)
            found.by_topic.update(record.topic for record in waiting)
            found.by_topic.subtract(record.topic for record in refused)
            found.left_out["too large"] += len(refused)
            waiting.clear()

        async for letter in letters:
            if letter is None or not _is_wanted(letter, wanted, topics):
                continue
            record = record_of(letter, topics)
            if not isinstance(record, RawRecord):
                found.left_out[record] += 1
                continue
            waiting.append(record)
            size_bytes += letter.size_bytes
            if len(waiting) >= AT_ONCE or size_bytes >= BYTES_AT_ONCE:
                await publish()
                size_bytes = 0
        await publish()
    return found


async def _publish(publisher: Publisher, records: Sequence[RawRecord]) -> Sequence[RawRecord]:
    """Publish records; return those that the brokers refuse for their size, as they took them compressed."""
    try:
        await publisher.publish(records, lambda _: None)
        return ()
    except MessageSizeTooLargeError:
        if len(records) == 1:
            return records
        return [one for record in records for one in await _publish(publisher, [record])]


def _is_wanted(letter: StoredDeadLetter, wanted: Wanted, topics: dict[str, str]) -> bool:
    full_name = letter.origin.rsplit("/", 2)[0]
    return wanted.reason in ("", letter.reason) and wanted.topic in ("", topics.get(full_name, full_name))
