"""Bytes of facts, states and rows do not change by accident: golden_records.json holds their digests.

On purpose rows change with a new counter, and examples are added; then this writes the digests anew:
`python -m tests.contract.test_golden_records > tests/contract/golden_records.json`.
A fact with other bytes for the same event needs a new version of the fact, and a state with other bytes a new
generation: what is stored was written by the former code.
"""

import json
import sys
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

import tally.schemas
from tally.schemas.places import place_number
from tally.schemas.records import Keyed, Origin
from tally.schemas.rows import PROGRESS_KEY, Failure, LogMark, Progress, encode
from tally.schemas.sources import READERS
from tally.schemas.topics import CHANGELOGS, COUNTERS, STATES
from tally.tables.kafka.facts_log import by_partition
from tally.tables.rules import Rules
from tally.tables.store.interface import by_changelog
from tests.support.partition import MemoryPartition
from tests.support.recordings import facts_of, read_recording, recordings

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"
GOLDEN = Path(__file__).with_name("golden_records.json")
RAW_AT_MS = 1_795_400_000_000
PLACE = place_number("webhook-events", 5, 1 << 30)


@cache
def examples() -> dict[str, list[Keyed]]:
    """Return the facts of every published example and every recording, by name."""
    found = {
        f"{topic}/{path.name}": READERS[topic](path.read_bytes()).facts
        for topic in READERS
        for path in sorted((EXAMPLES / topic).glob("*.json"))
    }
    return found | {f"recording/{path.name}": facts_of(read_recording(path)) for path in recordings()}


def digests(facts: list[Keyed]) -> dict[str, str]:
    """Return digests of the facts' records, and of each table that they are folded into."""
    traced = [(keyed, Origin(RAW_AT_MS, PLACE + nth)) for nth, keyed in enumerate(facts)]
    records = by_partition(traced, 1)[0]
    partition = MemoryPartition()
    partition.fold_traced(traced, Rules())
    tables = {name: _digest(_stored(name, entries)) for name, entries in partition.tables.items() if entries}
    return {"facts": _digest(records)} | {name: tables[name] for name in sorted(tables)}


def _stored(table: str, entries: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return a table's records as its changelog has them, sorted."""
    records = by_changelog({table: entries})[COUNTERS if table == COUNTERS else STATES]
    return sorted((key, value) for key, value in records.items() if value is not None)


def _digest(entries: Iterable[tuple[bytes, bytes]]) -> str:
    found = sha256()
    for key, value in entries:
        found.update(b"%d %d " % (len(key), len(value)) + key + value)
    return found.hexdigest()[:32]


@pytest.mark.parametrize("name", examples())
def test_records_have_the_bytes_that_they_had(name: str) -> None:
    golden = json.loads(GOLDEN.read_text()).get(name)
    assert golden is not None, "new: write the digests anew, see above"
    assert digests(examples()[name]) == golden


def test_progress_has_the_bytes_that_it_had() -> None:
    assert progress_digest() == json.loads(GOLDEN.read_text())["progress"]


def progress_digest() -> dict[str, str]:
    """Return the digest of a progress record in which every field is set."""
    marks = {log: LogMark(bytes(range(16)), 8, 1, 2) for log in ("facts", *CHANGELOGS)}
    failure = Failure(7, 2, "ValueError")
    progress = Progress(7, "store", "rules", RAW_AT_MS, 1, 2, failure, marks, {"messages": 3}, 4, 5)
    return {"progress": _digest([(PROGRESS_KEY, encode(progress))])}


def test_every_family_has_a_golden_record() -> None:
    tables = {table for found in json.loads(GOLDEN.read_text()).values() for table in found}
    assert tables >= {
        "facts",
        "messages",
        "recipients",
        "customers",
        "calls",
        "operators",
        "descriptions",
        "counters",
        "aliases",
    }


if __name__ == "__main__":
    made = {name: digests(facts) for name, facts in examples().items()} | {"progress": progress_digest()}
    sys.stdout.write(json.dumps(made, indent=1, sort_keys=True) + "\n")
