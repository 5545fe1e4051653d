"""Dead letters in groups: what is wrong with how many records, so that each kind is mended once."""

import re
from collections import Counter
from contextlib import aclosing

from msgspec import Struct, field

from tally.schemas.errors import REASONS
from tally.streams.operations.dead_letters import StoredDeadLetter, each
from tally.streams.settings import Settings

_PART = re.compile(rf"({'|'.join(REASONS)}) at (.*?) \(expected: (.*?)\)(?=; |$)")
_INDEX = re.compile(r"\[\d+\]")
_BATCH = "a batch"


class Group(Struct, frozen=True, order=True):
    """Bad parts that have the topic, the reason, the path and what was expected in common."""

    topic: str
    reason: str
    path: str
    """Indices are left out: `$.entry[].changes[]`."""
    expected: str


class Groups(Struct):
    """How many letters are in each group; a letter is in one for each of its first twenty bad parts."""

    letters: Counter[Group] = field(default_factory=Counter)
    newest: dict[Group, StoredDeadLetter] = field(default_factory=dict)
    """Without their bytes."""
    total: int = 0
    foreign: int = 0
    """Records of the topic that are not dead letters."""


def groups_of(letter: StoredDeadLetter) -> set[Group]:
    """Return the groups of a letter, one at least. Pure."""
    topic = letter.origin.rsplit("/", 2)[0]
    found = {
        Group(topic, reason, _BATCH if path.startswith(_BATCH) else _INDEX.sub("[]", path), expected)
        for reason, path, expected in _PART.findall(letter.detail)
    }
    return found or {Group(topic, letter.reason, "", "")}


async def grouped(settings: Settings, since_ms: int | None = None) -> Groups:
    """Count the dead letters by group. Raises KafkaError, TimeoutError."""
    found = Groups()
    async with aclosing(each(settings, since_ms)) as letters:
        async for letter in letters:
            if letter is None:
                found.foreign += 1
                continue
            found.total += 1
            for group in groups_of(letter):
                found.letters[group] += 1
                known = found.newest.get(group)
                if known is None or known.at_ms <= letter.at_ms:
                    found.newest[group] = letter.without_bytes()
    return found
