"""Where a partition begins, and which holes are losses, with brokers that do not always answer."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.starts import Start
from tally.streams.transport import beginning
from tally.streams.transport.beginning import Beginnings, hole, start_of
from tally.streams.transport.runs import Committed
from tally.tables.kafka.layouts import Layout

NOW_MS = 1_795_000_000_000
ONE, OTHER = TP("raw", 0), TP("raw", 1)
OLD, NEW = "aa", "bb"


class Record(NamedTuple):
    offset: int


class Brokers:
    """What a client would be told, and where it was sought to."""

    def __init__(self) -> None:
        self.topic_ids = {"raw": OLD}
        self.starts = {ONE: 0, OTHER: 0}
        self.commits: dict[TP, Committed] = {}
        self.sought: list[tuple[TP, int]] = []
        self.is_away = False
        self._client = None
        self._coordinator = SimpleNamespace(generation=1, fetch_committed_offsets=self._committed)

    async def layouts(self, _: object, names: Sequence[str]) -> dict[str, Layout]:
        return {
            name: Layout(bytes.fromhex(self.topic_ids[name]), 2, 1)
            for name in names
            if name in self.topic_ids
        }

    async def _committed(
        self, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        nothing = Committed(-1, "")
        return {tp: OffsetAndMetadata(*self.commits.get(TP(*tp), nothing)) for tp in partitions}

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if self.is_away:
            raise KafkaConnectionError("away")
        return {tp: self.starts[TP(*tp)] for tp in partitions}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.sought.append((TP(*tp), offset))


class Reading:
    """Partitions that are read from such brokers."""

    def __init__(self, brokers: Brokers) -> None:
        self.brokers = brokers
        self.now_s = 0.0
        self.beginnings = Beginnings(lambda: NOW_MS, lambda: self.now_s)

    async def look(self, generation: int = 1) -> None:
        self.now_s += beginning.LOOK_SECONDS
        client = cast(AIOKafkaConsumer, self.brokers)
        self.brokers._coordinator.generation = generation
        await self.beginnings.look(client, generation, [ONE])

    async def started(
        self, first: int | None, position: int, generation: int | None = None
    ) -> dict[TP, Start | None]:
        records = [] if first is None else [Record(first)]
        client = cast(Any, self.brokers)
        generation = client._coordinator.generation if generation is None else generation
        return await self.beginnings.started(client, generation, {ONE: (records, position)})


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    found = Brokers()
    monkeypatch.setattr(beginning, "layouts", found.layouts)
    return found


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_lost_is_what_lies_before_the_logs_start_and_was_jumped_over(
    at: int, jump: int, log_start: int
) -> None:
    lost = hole(at, at + jump, log_start)
    gone = {offset for offset in range(at, at + jump) if offset < log_start}
    assert set(range(*lost) if lost else ()) == gone


@pytest.mark.parametrize(
    ("committed", "start"),
    [
        (None, Start(OLD, 7, NOW_MS, is_first=True)),
        (Committed(5, OLD), Start(OLD, 5, NOW_MS)),
        # Set by hand: what was read before, nobody knows.
        (Committed(5, ""), Start(OLD, 7, NOW_MS, is_first=True)),
        # Made anew: whatever the offset was, the new topic is read from its start.
        (Committed(5, "before"), Start(OLD, 7, NOW_MS, is_first=True, lost=(0, 7))),
    ],
)
def test_a_partition_begins_at_its_commit_if_that_is_of_this_topic(
    committed: Committed | None, start: Start
) -> None:
    assert start_of(OLD, 7, committed, NOW_MS) == start


@pytest.mark.asyncio
async def test_a_log_that_begins_behind_the_commit_has_lost_what_lies_between(brokers: Brokers) -> None:
    brokers.commits[ONE], brokers.starts[ONE] = Committed(30, OLD), 100
    reading = Reading(brokers)
    await reading.look()
    assert brokers.sought == [(ONE, 30)]
    assert await reading.started(100, 130) == {ONE: Start(OLD, 100, NOW_MS, lost=(30, 100))}
    assert await reading.started(130, 140) == {ONE: None}


@pytest.mark.asyncio
async def test_a_log_that_begins_later_while_it_is_read_says_so_without_a_record(
    brokers: Brokers,
) -> None:
    reading = Reading(brokers)
    await reading.look()
    assert await reading.started(0, 10) == {ONE: Start(OLD, 0, NOW_MS, is_first=True)}
    brokers.starts[ONE] = 25
    assert await reading.started(None, 25) == {ONE: Start(OLD, 25, NOW_MS, lost=(10, 25))}


@pytest.mark.asyncio
async def test_markers_and_aborted_records_are_no_loss(brokers: Brokers) -> None:
    reading = Reading(brokers)
    await reading.look()
    await reading.started(0, 10)
    assert await reading.started(14, 20) == {ONE: None}
    assert await reading.started(None, 21) == {ONE: None}


@pytest.mark.asyncio
async def test_a_hole_that_nobody_can_explain_now_is_read_again(brokers: Brokers) -> None:
    reading = Reading(brokers)
    await reading.look()
    await reading.started(0, 10)
    brokers.starts[ONE], brokers.is_away = 25, True
    assert await reading.started(25, 30) == {}
    assert brokers.sought[-1] == (ONE, 10)
    brokers.is_away = False
    assert await reading.started(25, 30) == {ONE: Start(OLD, 25, NOW_MS, lost=(10, 25))}


@pytest.mark.asyncio
async def test_a_partition_is_not_read_before_it_is_known_where_it_begins(brokers: Brokers) -> None:
    brokers.is_away = True
    reading = Reading(brokers)
    await reading.look()
    assert await reading.started(0, 10) == {}
    brokers.is_away = False
    await reading.look()
    assert await reading.started(0, 10) == {ONE: Start(OLD, 0, NOW_MS, is_first=True)}


@pytest.mark.asyncio
async def test_a_topic_that_is_made_anew_while_it_is_read_is_read_from_its_start(brokers: Brokers) -> None:
    reading = Reading(brokers)
    await reading.look()
    await reading.started(0, 500)
    del brokers.topic_ids["raw"]
    await reading.look()
    brokers.topic_ids["raw"] = NEW
    brokers.starts[ONE] = 3
    await reading.look()
    assert brokers.sought[-1] == (ONE, 3)
    assert await reading.started(3, 700) == {ONE: Start(NEW, 3, NOW_MS, is_first=True, lost=(0, 3))}


@pytest.mark.asyncio
async def test_a_new_assignment_begins_at_the_commits_again(brokers: Brokers) -> None:
    reading = Reading(brokers)
    await reading.look()
    await reading.started(0, 10)
    brokers.commits[ONE] = Committed(4, OLD)
    await reading.look(generation=2)
    assert brokers.sought[-1] == (ONE, 4)
    assert await reading.started(4, 12) == {ONE: Start(OLD, 4, NOW_MS)}


@pytest.mark.asyncio
async def test_what_is_taken_while_an_assignment_begins_waits_until_it_is_known_where(
    brokers: Brokers,
) -> None:
    """Else it is handed out without its start, and what is committed of it lacks the topic's id."""
    reading = Reading(brokers)
    await reading.look()
    await reading.started(0, 10)
    assert await reading.started(10, 20, generation=2) == {}
    await reading.look(generation=2)
    assert await reading.started(0, 20) == {ONE: Start(OLD, 0, NOW_MS, is_first=True)}


@pytest.mark.asyncio
async def test_what_the_group_gives_away_while_it_is_asked_about_is_left_alone(brokers: Brokers) -> None:
    reading = Reading(brokers)
    brokers._coordinator.generation = 2
    await reading.beginnings.look(cast(Any, brokers), 1, [ONE])
    assert brokers.sought == []
    assert await reading.started(0, 10) == {}
