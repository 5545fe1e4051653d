"""Recorded calls are counted as their stories tell, in whatever order and number of copies they come."""

import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.schemas.grains import RowKey
from tally.schemas.keys import split_parts
from tally.schemas.records import Keyed
from tally.schemas.topics import COUNTERS
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition
from tests.support.recordings import (
    FOLDER,
    Received,
    facts_of,
    facts_of_sends,
    read_recording,
    recordings,
    story_of,
)

RULES = Rules()
every_recording = pytest.mark.parametrize("path", recordings(), ids=lambda path: path.stem)


def folded(facts: list[Keyed], size: int = 10_000) -> MemoryPartition:
    partition = MemoryPartition()
    for first in range(0, len(facts), size):
        partition.fold(facts[first : first + size], RULES)
    return partition


def campaigns(partition: MemoryPartition) -> dict[str, dict[str, int]]:
    rows = {RowKey.decode(key): counts for key, counts in partition.counts().items()}
    return {
        f"{key.campaign}/{key.template.name}": counts
        for key, counts in rows.items()
        if key.campaign and key.template
    }


def operators(partition: MemoryPartition) -> dict[str, dict[str, int]]:
    found = {
        split_parts(key)[3]: {name: n for name, n in counts.items() if not name.startswith("memberships.")}
        for key, counts in partition.counts().items()
        if split_parts(key)[1] == ""
    }
    return {operator: counts for operator, counts in found.items() if counts}


def tables(partition: MemoryPartition) -> dict[str, dict[bytes, bytes]]:
    return {table: values for table, values in partition.tables.items() if table != COUNTERS and values}


def second_collector(events: list[Received], late_ms: int) -> list[Received]:
    """Return the copies of another collector; its own lists and logins are no copies."""
    return [
        Received(event.value, event.received_at_ms + late_ms)
        if event.value.startswith(b"{") or b"\nTimestamp: " in event.value
        else event
        for event in events
    ]


@every_recording
def test_a_recording_counts_what_its_story_tells(path: Path) -> None:
    tells(story_of(path.stem), read_recording(path))


def test_a_call_that_outlives_its_connection_is_one_call_in_both_sessions() -> None:
    first, second = (
        read_recording(FOLDER / f"ast22__reconnect-{part}.ami")
        for part in ("part1-before-drop", "part2-after")
    )
    story = story_of("reconnect-both")

    tells(story, first + second)
    tells(story, second + first)


def test_all_sessions_on_one_pbx_count_what_they_count_alone() -> None:
    paths = [path for path in recordings() if path.suffix == ".ami"]
    # The two halves of one call count it once.
    alone = [story_of(path.stem) for path in paths if "reconnect" not in path.stem]
    counted = [*alone, story_of("reconnect-both")]
    sends = [fact for story in counted for fact in facts_of_sends(story["sends"])]
    partition = folded(sends + facts_of([event for path in paths for event in read_recording(path)]))

    assert campaigns(partition) == {
        name: summed(story["campaigns"].get(name, {}) for story in counted)
        for name in {name for story in counted for name in story["campaigns"]}
    }


def summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def tells(story: dict[str, Any], events: list[Received]) -> None:
    partition = folded(facts_of_sends(story["sends"]) + facts_of(events))

    assert campaigns(partition) == story["campaigns"]
    assert operators(partition) == {
        operator: {name: n for name, n in counts.items() if n}
        for operator, counts in story["operators"].items()
    }


@every_recording
@settings(max_examples=6)
@given(seed=st.integers(), size=st.integers(1, 60), share=st.floats(0, 1))
def test_any_order_copies_collectors_and_cuts_give_the_same_states_and_counts(
    path: Path, seed: int, size: int, share: float
) -> None:
    order = random.Random(seed)
    events = read_recording(path)
    # Cut anywhere: a session that ends early, or of which a part was never received.
    events = (
        events[: int(len(events) * share)] if seed % 2 else order.sample(events, int(len(events) * share))
    )
    sends = facts_of_sends(story_of(path.stem)["sends"])
    whole = folded(sends + facts_of(events))
    copies = sends + sends + facts_of([*events, *second_collector(events, 7), *events[::3]])
    order.shuffle(copies)
    again = folded(copies, size)

    assert again.counts() == whole.counts()
    assert tables(again) == tables(whole)
    assert again.recounted(RULES) == again.counts()
