"""Keeps records of `numbers` that cannot be read as dead letters, as route does with raw events."""

import asyncio
from collections.abc import Iterable
from functools import partial

from tally.schemas.topics import NUMBERS
from tally.streams.operations.numbers import UnreadNumber
from tally.streams.worker.brokers import while_away
from tally.streams.worker.observer import WorkerObserver
from tally.tables.kafka.dead_letters import DeadLetter, DeadLetters


class NumberLetters:
    """Writes each such record once in the life of a process; its origin makes it one letter for readers."""

    def __init__(self, dead_letters: DeadLetters, observer: WorkerObserver) -> None:
        self._dead_letters = dead_letters
        self._observer = observer
        self._noted: set[int] = set()
        """Offsets in the topic, which has one partition."""
        self._waiting: list[DeadLetter] = []
        self._found = asyncio.Event()

    def note(self, unread: Iterable[UnreadNumber]) -> None:
        """Note the newest records that cannot be read."""
        for record, bad in ((one.record, one.bad) for one in unread):
            if record.offset not in self._noted:
                self._noted.add(record.offset)
                letter = DeadLetter(
                    record.topic, record.partition, record, bad.reason, str(bad), record.headers
                )
                self._waiting.append(letter)
                self._found.set()

    async def run(self) -> None:
        """Write what was noted, until cancelled; while brokers are away it waits."""
        while True:
            await self._found.wait()
            self._found.clear()
            letters = list(self._waiting)
            await while_away(partial(self._dead_letters.write, letters))
            del self._waiting[: len(letters)]
            for letter in letters:
                self._observer.dead_letters(NUMBERS, letter.reason, 1)
