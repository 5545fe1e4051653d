"""Dead letters beside the records that they are of."""

import time
from collections import Counter
from collections.abc import Iterable

from tally.schemas.conventions import CONVENTIONS
from tally.schemas.sources import READERS
from tally.simulator.records import RawRecord
from tally.streams.operations import dead_letters
from tally.streams.operations.dead_letters import StoredDeadLetter
from tests.faults.stack import Stack


async def kept(whole: Stack) -> list[StoredDeadLetter]:
    """Return the dead letters, each once, whatever number of times it was written."""
    return await dead_letters.read(whole.settings)


def unreadable(records: Iterable[RawRecord]) -> Counter[tuple[bytes, str]]:
    """Return bytes and reason of each record that cannot be read, wholly or in part, if it comes now."""
    now_ms = int(time.time() * 1000)
    read = (
        (record, READERS[record.topic](record.value, record.headers, CONVENTIONS, now_ms).bad)
        for record in records
    )
    return Counter((record.value or b"", bad[0].reason) for record, bad in read if bad)


def as_kept(letters: Iterable[StoredDeadLetter]) -> Counter[tuple[bytes, str]]:
    """Return bytes and reason of each dead letter."""
    return Counter((letter.value, letter.reason) for letter in letters)
