"""Counts dead letters by reason, reading what is new each time: the topic may hold gigabytes."""

from contextlib import aclosing
from typing import Any

from aiokafka import TopicPartition

from tally.schemas.reports import Letters
from tally.schemas.topics import DEAD_LETTERS
from tally.streams.operations.dead_letters import REMEMBERED, letter_of
from tally.streams.settings import Settings
from tally.tables.kafka.read_to_end import read_to_end

DEADLINE_SECONDS = 120.0


class LettersByReason:
    """How many dead letters of each reason there were, each once, though it may stand in the topic twice."""

    def __init__(self) -> None:
        self._found: dict[str, Letters] = {}
        self._next_offsets: dict[TopicPartition, int] = {}
        self._seen: dict[str, None] = {}

    @property
    def by_reason(self) -> dict[str, Letters]:
        """What was found, by reason."""
        return dict(sorted(self._found.items()))

    async def read(self, settings: Settings) -> None:
        """Count what has come since the last call. Raises KafkaError, TimeoutError."""
        topic = settings.names.raw(DEAD_LETTERS)
        begin = dict(self._next_offsets)
        async with aclosing(read_to_end(settings.kafka, [topic], DEADLINE_SECONDS, begin=begin)) as records:
            async for record in records:
                self.note(record)

    def note(self, record: Any) -> None:
        """Count a record, if it is a dead letter."""
        self._next_offsets[TopicPartition(record.topic, record.partition)] = record.offset + 1
        letter = letter_of(record)
        if letter is None or letter.name in self._seen:
            return
        self._seen[letter.name] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        before = self._found.get(letter.reason, Letters(0, 0))
        self._found[letter.reason] = Letters(before.number + 1, max(before.last_at_ms, record.timestamp))
