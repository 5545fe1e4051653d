"""The loop: when it flushes, and what it does while Postgres is away."""

import asyncio

import pytest

from tally.agents.clock import wait_for
from tally.agents.flush.dirty_rows import WITHHELD_SECONDS
from tally.agents.flush.loop import pause_seconds
from tally.agents.flush.partition import FOREIGN_STORE, LONGEST_SECONDS, SEARCHED_ROWS
from tally.agents.flush.ports import FlushConfig
from tally.tables.postgres.progress import FlushProgress
from tests.support.flush_doubles import CommittedRows, Hands, MemoryPostgres, key


class Flushing:
    """One partition's feed, a Postgres and a flush between them."""

    def __init__(self, partitions: frozenset[int] = frozenset({0}), max_rows: int = 1000) -> None:
        self.source, self.postgres = CommittedRows(), MemoryPostgres()
        self.hands = Hands(self.source, self.postgres, partitions, FlushConfig(max_rows=max_rows))

    def is_exact(self, partition: int = 0) -> bool:
        feed = self.source.progress(partition)
        return (
            feed is not None
            and self.postgres.of(partition) == self.source.rows(partition)
            and self.postgres.progress[partition].next_offset == feed.next_offset
        )


@pytest.fixture
def flushing() -> Flushing:
    return Flushing()


@pytest.mark.asyncio
async def test_a_tick_brings_every_committed_row_and_the_progress_to_postgres(flushing: Flushing) -> None:
    flushing.source.count(0, 10, "a", "b")
    await flushing.hands.tick()
    assert flushing.is_exact()
    flushing.source.count(0, 20, "b", "c")
    await flushing.hands.tick()
    assert flushing.is_exact()
    assert [rows for rows, _ in flushing.hands.heard.flushes] == [2, 2]


@pytest.mark.asyncio
async def test_nothing_is_written_while_nothing_changes(flushing: Flushing) -> None:
    flushing.source.count(0, 10, "a")
    for _ in range(3):
        await flushing.hands.tick()
    assert len(flushing.hands.heard.flushes) == 1


@pytest.mark.asyncio
async def test_many_dirty_rows_go_in_batches_within_one_tick() -> None:
    flushing = Flushing(max_rows=10)
    await flushing.hands.tick()
    flushing.source.count(0, 10, *map(str, range(35)))
    await flushing.hands.tick()
    assert [rows for rows, _ in flushing.hands.heard.flushes] == [10, 10, 10, 5]
    assert flushing.is_exact()


@pytest.mark.parametrize(
    ("took_seconds", "pause"), [(0.0, 1.0), (0.25, 0.75), (0.5, 1.0), (0.75, 1.5), (1.0, 2.0), (30.0, 2.0)]
)
def test_a_flush_begins_once_an_interval_and_a_long_one_rests_twice_as_long(
    took_seconds: float, pause: float
) -> None:
    assert pause_seconds(1.0, took_seconds) == pause


@pytest.mark.asyncio
async def test_a_full_batch_ends_the_wait() -> None:
    flushing = Flushing(max_rows=3)
    flushing.source.count(0, 1, "a")
    await flushing.hands.tick()
    running = asyncio.create_task(flushing.hands.flush.run())
    flushing.source.count(0, 10, "a", "b", "c")
    for _ in range(10):
        await asyncio.sleep(0)
    running.cancel()
    assert flushing.hands.pauses[0] == 0.0
    assert flushing.is_exact()


@pytest.mark.asyncio
async def test_a_pause_ends_with_its_event_or_with_its_time() -> None:
    event = asyncio.Event()
    await wait_for(event, 0.001)
    assert not event.is_set()
    event.set()
    await wait_for(event, 1000.0)


@pytest.mark.asyncio
async def test_while_postgres_is_away_the_dirty_rows_are_the_rows_that_exist_and_no_more(
    flushing: Flushing,
) -> None:
    flushing.source.count(0, 9, "a")
    await flushing.hands.tick()
    flushing.postgres.away = True
    for offset in range(10, 110):
        flushing.source.count(0, offset, "a", "b")
        await flushing.hands.tick()
    dirty_rows, _, lag_seconds = flushing.hands.heard.state_of
    assert dirty_rows == 2
    assert lag_seconds >= 99.0
    flushing.postgres.away = False
    await flushing.hands.tick()
    assert flushing.hands.heard.state_of == (0, 0, 0.0)
    assert flushing.is_exact()


@pytest.mark.asyncio
async def test_the_lag_is_told_although_postgres_was_away_from_the_start(flushing: Flushing) -> None:
    flushing.postgres.away = True
    flushing.source.count(0, 10, "a")
    for _ in range(4):
        await flushing.hands.tick()
    assert flushing.hands.heard.state_of == (0, 0, 3.0)


@pytest.mark.asyncio
async def test_the_loop_backs_off_while_postgres_is_away_and_heals_when_it_returns(
    flushing: Flushing,
) -> None:
    flushing.source.count(0, 10, "a")
    flushing.postgres.away = True
    running = asyncio.create_task(flushing.hands.flush.run())
    for _ in range(100):
        await asyncio.sleep(0)
    assert flushing.hands.flush.troubles() == ["57P01: terminating connection due to administrator command"]
    assert max(flushing.hands.pauses) == pytest.approx(LONGEST_SECONDS)
    assert set(flushing.hands.heard.failures) == {"57"}
    flushing.postgres.away = False
    for _ in range(20):
        await asyncio.sleep(0)
    running.cancel()
    assert flushing.hands.flush.troubles() == []
    assert flushing.is_exact()


@pytest.mark.asyncio
async def test_a_lost_reply_to_commit_heals_by_itself(flushing: Flushing) -> None:
    flushing.source.count(0, 10, "a")
    await flushing.hands.tick()
    flushing.source.count(0, 20, "a", "b")
    flushing.postgres.reply_lost = True
    await flushing.hands.tick()
    flushing.source.count(0, 30, "b")
    await flushing.hands.tick()
    assert flushing.is_exact()


@pytest.mark.asyncio
async def test_a_partition_that_waits_for_a_lock_holds_up_no_other() -> None:
    flushing = Flushing(frozenset({0, 1}))
    flushing.postgres.locked = {0}
    for offset in range(10, 20):
        flushing.source.count(0, offset, "a")
        flushing.source.count(1, offset, "a")
        await flushing.hands.tick()
        assert flushing.is_exact(1)
    assert flushing.hands.flush.troubles() == ["partition 0: 55P03: canceling statement due to lock timeout"]
    assert len(flushing.hands.heard.failures) < 10  # it backs off by itself
    flushing.postgres.locked = set()
    await flushing.hands.tick(LONGEST_SECONDS)
    assert flushing.is_exact(0)
    assert flushing.hands.flush.troubles() == []


@pytest.mark.asyncio
async def test_one_unstorable_row_stops_no_other_row_and_holds_back_progress(flushing: Flushing) -> None:
    flushing.postgres.unstorable = {(0, key("bad"))}
    flushing.source.count(0, 10, "a", "bad", "b")
    await flushing.hands.tick()
    assert set(flushing.postgres.of(0)) == {key("a"), key("b")}
    assert flushing.hands.heard.state_of[:2] == (0, 1)
    assert flushing.hands.heard.failures == ["22"]
    flushing.source.count(0, 20, "a", "bad")
    await flushing.hands.tick()
    assert flushing.postgres.rows[0, key("a")].counts == {"accepted": 20}
    assert flushing.postgres.progress[0].next_offset == 0
    assert flushing.hands.heard.failures == ["22"]


@pytest.mark.asyncio
async def test_a_withheld_row_is_tried_again_rarely_and_forgiven(flushing: Flushing) -> None:
    flushing.postgres.unstorable = {(0, key("bad"))}
    flushing.source.count(0, 10, "a", "bad")
    await flushing.hands.tick()
    await flushing.hands.tick(WITHHELD_SECONDS)
    assert flushing.hands.heard.failures == ["22", "22"]
    flushing.postgres.unstorable = set()
    await flushing.hands.tick(WITHHELD_SECONDS)
    assert flushing.is_exact()


@pytest.mark.asyncio
async def test_some_of_thousands_of_unstorable_rows_are_found_a_minute_and_others_go_on() -> None:
    flushing = Flushing(max_rows=100)
    bad, good = [f"bad{n}" for n in range(3_000)], [f"good{n}" for n in range(500)]
    flushing.postgres.unstorable = {(0, key(name)) for name in bad}
    flushing.source.count(0, 10, *bad, *good)
    await flushing.hands.tick()
    assert set(flushing.postgres.of(0)) == {key(name) for name in good}
    assert flushing.hands.heard.state_of[:2] == (0, 3_000)
    for minute in range(1, 4):
        assert flushing.postgres.found == minute * SEARCHED_ROWS
        flushing.source.count(0, 10 + minute, *good)
        await flushing.hands.tick(60.0)
        assert flushing.postgres.rows[0, key("good499")].counts == {"accepted": 10 + minute}
        assert flushing.postgres.progress[0].next_offset == 0
    flushing.postgres.unstorable = set()
    await flushing.hands.tick(WITHHELD_SECONDS)
    assert flushing.is_exact()


@pytest.mark.asyncio
async def test_rows_of_another_store_are_never_overwritten_until_the_generation_is_raised(
    flushing: Flushing,
) -> None:
    theirs = FlushProgress(5, "another", "columns", 7)
    flushing.postgres.progress[0] = theirs
    flushing.source.count(0, 10, "a")
    await flushing.hands.tick()
    await flushing.hands.tick()
    assert flushing.postgres.progress == {0: theirs}
    assert flushing.postgres.rows == {}
    assert flushing.hands.flush.troubles() == [f"partition 0: {FOREIGN_STORE}"]
    assert set(flushing.hands.heard.failures) == {"foreign_store"}
    flushing.postgres.progress.clear()
    await flushing.hands.tick()
    assert flushing.hands.flush.troubles() == []
    assert flushing.is_exact()


@pytest.mark.asyncio
async def test_a_feed_that_is_behind_writes_nothing_until_it_has_caught_up(flushing: Flushing) -> None:
    flushing.source.count(0, 10, "a")
    await flushing.hands.tick()
    ahead = FlushProgress(50, "s1", flushing.postgres.progress[0].columns, 9)
    flushing.postgres.progress[0] = ahead
    flushing.source.count(0, 40, "a")
    await flushing.hands.tick()
    assert flushing.postgres.progress[0] == ahead
    flushing.source.count(0, 60, "a")
    await flushing.hands.tick()
    assert flushing.is_exact()


@pytest.mark.asyncio
async def test_partitions_of_others_are_left_alone() -> None:
    flushing = Flushing(frozenset({1}))
    flushing.source.count(0, 10, "a")
    flushing.source.count(1, 10, "a")
    await flushing.hands.tick()
    assert set(flushing.postgres.progress) == {1}


@pytest.mark.asyncio
async def test_a_defect_of_ours_ends_the_loop(flushing: Flushing, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> int:
        raise KeyError("defect")

    flushing.source.count(0, 10, "a")
    monkeypatch.setattr(flushing.postgres, "write", broken)
    with pytest.raises(ExceptionGroup) as raised:
        await flushing.hands.flush.run()
    assert raised.group_contains(KeyError, match="defect")


@pytest.mark.asyncio
async def test_a_flush_that_is_cancelled_forgets_no_row(
    flushing: Flushing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object) -> int:
        await asyncio.sleep(1000)
        return 0

    flushing.source.count(0, 10, "a", "b")
    with monkeypatch.context() as patched:
        patched.setattr(flushing.postgres, "write", slow)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await flushing.hands.tick()
    await flushing.hands.tick()
    assert flushing.is_exact()
