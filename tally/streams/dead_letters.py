"""Reading dead letters back: what could not be counted, and why."""

from collections import Counter

from msgspec import Struct

from tally.schemas.topics import DEAD_LETTERS
from tally.streams.log_reading import read_to_end
from tally.streams.settings import Settings

DEADLINE_SECONDS = 120.0


class DeadLetter(Struct, frozen=True):
    """One raw record that could not be counted, wholly or in part."""

    origin: str
    """`topic/partition/offset` of the raw record: the dead letter's name."""
    reason: str
    detail: str
    at_ms: int
    key: bytes | None
    value: bytes


async def read(settings: Settings) -> list[DeadLetter]:
    """Return all dead letters, oldest first; one that a killed worker wrote twice is listed once."""
    letters: dict[str, DeadLetter] = {}
    topic = settings.names.raw(DEAD_LETTERS)
    async for record in read_to_end(settings.kafka_client(), [topic], DEADLINE_SECONDS):
        letter = letter_of({name: value.decode() for name, value in record.headers}, record.key, record.value)
        letters.setdefault(letter.origin, letter)
    return sorted(letters.values(), key=lambda letter: (letter.at_ms, letter.origin))


def letter_of(headers: dict[str, str], key: bytes | None, value: bytes | None) -> DeadLetter:
    """Return a dead letter from its record. Pure."""
    origin = f"{headers['topic']}/{headers['partition']}/{headers['offset']}"
    return DeadLetter(origin, headers["reason"], headers["detail"], int(headers["at"]), key, value or b"")


def by_reason(letters: list[DeadLetter]) -> dict[str, int]:
    """Count dead letters by reason, the most frequent first."""
    return dict(Counter(letter.reason for letter in letters).most_common())
