"""Try a new counter on your own events before you add it: messages delivered and not read.

    .venv/bin/python examples/new_counter.py tally/schemas/examples/{send-results,webhook-events}/*.json

The name of a folder is the topic. To add the counter, write a line of the registry, the same rule in the
family, and the recount in SQL: docs/extending.md.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from tally.schemas.conventions import CONVENTIONS
from tally.schemas.records import Keyed
from tally.schemas.sources import READERS
from tally.tables.contribution import Part
from tally.tables.families.message import Message, MessageFamily
from tally.tables.rules import Rules

NAME = "delivered_unread"


class Counting(MessageFamily):
    """The family of messages with one additional counter."""

    def contribution(self, key: bytes, state: Message, rules: Rules) -> list[Part]:
        """Count a message that is delivered and not read, in the part that counts it as accepted."""
        parts = super().contribution(key, state, rules)
        if state.delivered is None or state.read is not None:
            return parts
        return [
            replace(part, counts={**part.counts, NAME: 1}) if "accepted" in part.counts else part
            for part in parts
        ]


def facts_of(files: Iterable[Path]) -> list[Keyed]:
    """Read raw events into facts. Raises ValueError for one with a bad part."""
    facts: list[Keyed] = []
    for file in files:
        if file.parent.name not in READERS:
            raise ValueError(f"{file}: expected a file in a folder named {', '.join(READERS)}")
        read = READERS[file.parent.name](file.read_bytes(), (), CONVENTIONS, int(time.time() * 1000))
        if read.bad:
            raise ValueError(f"{file}: {read.bad[0]}")
        facts += read.facts
    return facts


def count(facts: Sequence[Keyed]) -> Counter[str]:
    """Return the counter by campaign: merge the facts of each message, then sum the contributions."""
    family, states, found = Counting(), dict[bytes, Message](), Counter[str]()
    for one in facts:
        if one.family == family.code:
            states[one.key] = family.merge(states.get(one.key), [one.fact])
    for key, state in states.items():
        for part in family.contribution(key, state, Rules()):
            found[part.row.campaign] += part.counts.get(NAME, 0)
    return found


def main() -> None:
    """Count, and count again in another order and with duplicates: both must give the same numbers."""
    facts = facts_of(map(Path, sys.argv[1:]))
    found = count(facts)
    if count(random.sample(facts + facts, 2 * len(facts))) != found:
        sys.exit("order or duplicates change it: what a state keeps must not depend on them")
    for campaign, number in sorted(found.items()):
        print(f"{campaign or 'no campaign'}: {NAME} {number}")


if __name__ == "__main__":
    main()
