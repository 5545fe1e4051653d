"""The sink's tasks on logs and a Postgres in memory: what fails, moves, is refused, shared or restored."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec import structs

from tally.agents.sink.cuts import Bounds
from tally.agents.sink.opening import Ours
from tally.agents.sink.partition import pause_seconds
from tally.agents.sink.withholding import AGAIN_SECONDS, Withheld
from tally.schemas.rows import PROGRESS_KEY, decode_row, encode
from tally.schemas.topics import COUNTERS, STATES
from tally.tables.postgres.progress import SinkProgress
from tally.tables.store.errors import ForeignRecord
from tests.support.sink_doubles import DEFAULT, Hands, Life, MemoryPostgres, counted, key, row
from tests.support.sink_logs import Partition

pytestmark = pytest.mark.asyncio

SMALL = structs.replace(DEFAULT, bounds=Bounds(most_entries=10))


def accepted(postgres: MemoryPostgres, partition: int = 0) -> dict[str, int]:
    return {
        key_of(name): decode_row(value).counts["accepted"]
        for (_, name), value in postgres.of(partition).items()
    }


def key_of(name: bytes) -> str:
    return key().decode(name).campaign


def made(config: object = DEFAULT) -> tuple[Partition, MemoryPostgres, Hands]:
    partition, postgres = Partition(), MemoryPostgres()
    return partition, postgres, Hands({0: partition}, postgres, config)  # type: ignore[arg-type]


def is_at(postgres: MemoryPostgres, seq: int, partition: int = 0) -> Callable[[], bool]:
    def reached() -> bool:
        held = postgres.progress.get(partition)
        return held is not None and held.is_cut and held.seq == seq

    return reached


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses between attempts pass at once; the clock moves by hand."""
    sleep = asyncio.sleep

    async def passing(seconds: float) -> None:
        await sleep(0)

    monkeypatch.setattr("tally.agents.sink.loop.asyncio.sleep", passing)


async def test_rows_and_the_offsets_of_both_logs_are_written_together() -> None:
    partition, postgres, hands = made()
    counted(partition, "a", "b")
    await Life(hands).run(is_at(postgres, 1), 0.1)
    counted(partition, "b")
    await Life(hands).run(is_at(postgres, 2), 0.1)
    assert accepted(postgres) == {"a": 1, "b": 2}
    held = postgres.progress[0]
    assert held.places == {name: log.end - 1 for name, log in partition.logs.items()}
    assert held.topics == partition.topics
    assert (held.store_id, held.rules, held.columns) == ("s1", "r1", DEFAULT.ours.columns)
    assert held.cut_at_ms == partition.logs[STATES].records[-1].timestamp


async def test_one_write_an_interval_and_no_reading_of_postgres_for_it() -> None:
    partition, postgres, hands = made()
    counted(partition, "a")
    life = Life(hands)
    await life.run(is_at(postgres, 1), 0.1)
    before, reads = postgres.writes, 1

    def ten_more() -> bool:
        if partition.seq < 101:
            counted(partition, "a")
        return is_at(postgres, 101)()

    life = Life(hands)
    postgres.reads = 0
    await life.run(ten_more, 0.05)
    assert postgres.writes - before <= 100 * 0.05 / DEFAULT.interval_seconds + 3
    assert postgres.reads == reads


async def test_where_nothing_was_ever_counted_nothing_is_written() -> None:
    partition, postgres, hands = made()
    life, looks = Life(hands), iter(range(50))
    await life.run(lambda: next(looks, None) is None, 0.1)
    assert postgres.progress == {}
    assert postgres.empty == {0}
    counted(partition, "a")
    await life.run(is_at(postgres, 1), 0.1)


async def test_a_partition_is_shown_as_catching_up_before_its_first_row() -> None:
    partition, postgres, hands = made()
    counted(partition, "a")
    await Life(hands).run(lambda: bool(postgres.progress))
    assert not postgres.progress[0].is_cut


async def test_every_third_commit_whose_reply_is_lost_counts_once() -> None:
    partition, postgres, hands = made(SMALL)
    postgres.lose_every = 3
    for n in range(60):
        counted(partition, f"c{n}", f"c{n % 7}")
    await Life(hands, config=SMALL).run(is_at(postgres, 60), 0.1)
    assert postgres.of(0) == partition_rows(partition)
    assert "connection" in hands.heard.failures


def partition_rows(partition: Partition) -> dict[tuple[str, bytes], bytes]:
    return partition.moments[partition.seq]


async def test_after_any_doubt_what_is_in_memory_is_dropped_and_read_again() -> None:
    partition, postgres, hands = made()
    counted(partition, "a")
    life = Life(hands)
    await life.run(is_at(postgres, 1), 0.1)
    counted(partition, "b")
    postgres.locked.add(0)
    await life.run(lambda: "55" in hands.heard.failures, 0.1)
    assert life.task.trouble == "55P03: canceling statement due to lock timeout"
    assert life.task.current is None or not life.task.current.dirty
    postgres.locked.clear()
    await life.run(is_at(postgres, 2), 0.1)
    await life.run(lambda: not life.task.trouble, 0.1)
    assert accepted(postgres) == {"a": 1, "b": 2}


async def test_a_sink_that_lost_the_race_writes_no_row() -> None:
    partition, postgres, hands = made()
    counted(partition, "a")
    await Life(hands).run(is_at(postgres, 1), 0.1)
    counted(partition, "a")
    rival = Hands({0: partition}, postgres, name="rival")
    winner = Life(rival)

    async def overtaken() -> None:
        counted(partition, "a", "b")
        await winner.run(is_at(postgres, 3), 0.1)
        postgres.meanwhile = None

    postgres.meanwhile = overtaken
    loser = Life(hands)
    await loser.run(lambda: "moved" in hands.heard.failures, 0.1)
    assert {postgres.progress[0].writer[:5]} == {"rival"}
    assert accepted(postgres) == {"a": 3, "b": 3}


async def test_what_is_refused_is_withheld_in_the_same_transaction_and_the_rest_is_a_cut() -> None:
    partition, postgres, hands = made()
    bad = ("rows", key("bad").encode())
    postgres.unstorable.add(bad)
    counted(partition, "a", "bad")
    life = Life(hands)
    await life.run(is_at(postgres, 1), 0.1)
    assert accepted(postgres) == {"a": 1}
    assert postgres.withheld == {(0, bad): partition.moments[1][bad]}
    assert hands.heard.failures == ["22"]
    counted(partition, "a", "bad")
    await life.run(is_at(postgres, 2), 0.1)
    assert postgres.withheld == {(0, bad): partition.moments[2][bad]}


async def test_what_was_refused_is_tried_again_when_a_sink_begins_and_after_a_while() -> None:
    partition, postgres, hands = made()
    bad = ("rows", key("bad").encode())
    postgres.unstorable.add(bad)
    counted(partition, "a", "bad")
    life = Life(hands)
    await life.run(is_at(postgres, 1), 0.1)
    counted(partition, "a")
    await life.run(is_at(postgres, 2), 0.1)
    assert hands.heard.failures == ["22", "22"], "once for each beginning"

    def goes_on() -> bool:
        counted(partition, "a")
        if len(hands.heard.failures) == 3:
            postgres.unstorable.clear()
        return not postgres.withheld

    began_s = hands.now_s
    await life.run(goes_on, 10.0)
    assert hands.now_s - began_s > AGAIN_SECONDS
    assert accepted(postgres)["bad"] == 1


async def test_another_store_is_left_alone_and_the_way_out_is_said() -> None:
    partition, postgres, hands = made()
    counted(partition, "a")
    await Life(hands).run(is_at(postgres, 1), 0.1)
    partition.store_id = "s2"
    counted(partition, "b")
    life = Life(hands)
    await life.run(lambda: bool(life.task.trouble), 0.1)
    assert life.task.trouble.startswith("Postgres holds counters of store s1 under this generation")
    assert "raise TALLY_GENERATION" in life.task.trouble
    assert life.task.is_waiting
    assert hands.heard.failures[0] == "foreign_store"
    assert accepted(postgres) == {"a": 1}


async def test_a_sink_with_other_rules_waits_where_something_is_derived_by_them() -> None:
    derived = structs.replace(DEFAULT, ours=Ours(DEFAULT.ours.columns, "r2"))
    partition, postgres, hands = made(derived)
    counted(partition, "a")
    life = Life(hands, config=derived)
    await life.run(lambda: life.task.is_waiting, 0.1)
    assert postgres.progress == {}
    partition.rules = "r2"
    counted(partition, "b")
    await life.run(is_at(postgres, 2), 0.1)
    assert accepted(postgres) == {"a": 1, "b": 2}


async def test_a_rules_change_while_the_sink_is_away_deletes_what_is_no_more() -> None:
    partition, postgres, hands = made()
    counted(partition, "a", "b")
    await Life(hands).run(is_at(postgres, 1), 0.1)
    postgres.rows[0, ("rows", key("left-over").encode())] = (encode(row(1, accepted=9)), 1)
    partition.rules = "r2"
    counted(partition, "b")
    await Life(hands).run(is_at(postgres, 2), 0.1)
    assert accepted(postgres) == {"a": 1, "b": 2}


async def test_what_another_epoch_withheld_is_no_value_of_this_one() -> None:
    """It may be gone since, and its tombstone as well: what a log no longer holds is not written again."""
    partition, postgres, hands = made()
    bad = ("rows", key("bad").encode())
    postgres.unstorable.add(bad)
    counted(partition, "a", "bad")
    await Life(hands).run(is_at(postgres, 1), 0.1)
    assert bad in {name for _, name in postgres.withheld}
    partition.rules = "r2"
    partition.commit({bad[1]: None})
    partition.forget_tombstones()
    counted(partition, "b")
    assert bad[1] not in [record.key for record in partition.logs[COUNTERS].records], "the tombstone is gone"
    postgres.unstorable.clear()
    life = Life(hands)
    await life.run(is_at(postgres, 3), 0.1)
    assert accepted(postgres) == {"a": 1, "b": 3}
    assert postgres.withheld == {}
    assert life.task.current is not None
    assert len(life.task.current.withheld) == 0


async def test_more_than_the_most_is_never_withheld_and_writing_goes_on_once_the_fault_is_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is withheld beyond what a beginning reads would be forgotten, and come back as an old value."""
    monkeypatch.setattr(Withheld, "MOST", 3)
    partition, postgres, hands = made()
    postgres.unstorable.update(("rows", key(f"c{n}").encode()) for n in range(5))
    counted(partition, *(f"c{n}" for n in range(5)), "a")
    life, failures = Life(hands), hands.heard.failures
    await life.run(lambda: len(failures) > 20, 0.1)
    assert postgres.withheld == {}
    assert accepted(postgres) == {}
    postgres.unstorable = {("rows", key("c0").encode())}
    await life.run(is_at(postgres, 1), 0.1)
    assert set(accepted(postgres)) == {"c1", "c2", "c3", "c4", "a"}
    assert [name for _, name in postgres.withheld] == [("rows", key("c0").encode())]


async def test_two_sinks_and_three_rebalances_a_minute_with_one_paused_for_long() -> None:
    partitions = {n: Partition() for n in range(2)}
    postgres = MemoryPostgres()
    postgres.lose_every = 3
    first, second = (Hands(partitions, postgres, SMALL, name) for name in "ab")
    for minute in range(8):
        for n, partition in partitions.items():
            for campaign in range(9):
                counted(partition, f"c{(minute + campaign) % 11}")
            partition.now_ms = partitions[0].now_ms
            # Whoever has the partition now writes it; the other one still believes to have it.
            owner, paused = (first, second) if (minute + n) % 2 else (second, first)
            late = Life(paused, n, SMALL)
            await late.run(lambda: bool(postgres.progress), 0.1)
            await Life(owner, n, SMALL).run(is_at(postgres, partition.seq, n), 0.1)
            await late.run(is_at(postgres, partition.seq, n), 0.1)
    for n, partition in partitions.items():
        assert postgres.of(n) == partition_rows(partition)
    assert {name[0] for name in postgres.writers} == {"a", "b"}


async def test_memory_is_bounded_while_postgres_is_away_and_after_it_is_back() -> None:
    partition, postgres, hands = made(SMALL)
    counted(partition, "a")
    life = Life(hands, config=SMALL)
    await life.run(is_at(postgres, 1), 0.1)
    postgres.away = True
    most = 0

    def away() -> bool:
        nonlocal most
        for n in range(20):
            counted(partition, f"c{partition.seq % 400}-{n % 3}")
        most = max(most, life.task.current.dirty if life.task.current else 0)
        return partition.seq > 4_000

    await life.run(away, 0.1)
    assert life.task.lag_seconds > 10
    postgres.away = False

    def back() -> bool:
        nonlocal most
        most = max(most, life.task.current.dirty if life.task.current else 0)
        return is_at(postgres, partition.seq)()

    await life.run(back, 0.1, 20_000)
    assert most <= SMALL.bounds.most_entries + 500, "and one read"
    assert postgres.largest <= SMALL.bounds.most_entries + 500
    assert postgres.of(0) == partition_rows(partition)
    assert life.task.lag_seconds == 0.0


async def run_sink(hands: Hands, until: Callable[[], bool], seconds: float = 0.1) -> None:
    running = asyncio.ensure_future(hands.sink.run())
    try:
        for _ in range(5_000):
            if until():
                return
            if running.done():
                running.result()
            hands.any.later(seconds)
            await asyncio.sleep(0)
        raise AssertionError("it never is so")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_restored_dump_heals_although_nothing_happens_any_more() -> None:
    partition, postgres, hands = made()
    counted(partition, "a", "b")
    await run_sink(hands, is_at(postgres, 1))
    rows, held = dict(postgres.rows), postgres.progress[0]
    counted(partition, "a")
    restored: list[SinkProgress] = []

    def restore_once() -> bool:
        if is_at(postgres, 2)() and not restored:
            postgres.rows, postgres.progress[0] = dict(rows), held
            restored.append(held)
        return bool(restored) and is_at(postgres, 2)()

    await run_sink(hands, restore_once)
    assert accepted(postgres) == {"a": 2, "b": 1}
    assert "moved" in hands.heard.failures


async def test_partitions_come_and_go_with_the_group_and_those_that_stay_go_on() -> None:
    partitions = {n: Partition() for n in range(2)}
    postgres = MemoryPostgres()
    hands = Hands(partitions, postgres)
    for partition in partitions.values():
        counted(partition, "a")
    hands.ours = {0}
    await run_sink(hands, is_at(postgres, 1, 0))
    assert 1 not in postgres.progress
    opened: list[int] = []

    def both() -> bool:
        if 0 in hands.sink.tasks and not opened and hands.sink.tasks[0].current is not None:
            opened.append(id(hands.sink.tasks[0]))
            hands.ours = {0, 1}
        return is_at(postgres, 1, 1)()

    await run_sink(hands, both)
    assert opened


async def test_what_is_left_to_do_is_told_every_second() -> None:
    partition, postgres, hands = made()
    counted(partition, "a", "bad")
    postgres.unstorable.add(("rows", key("bad").encode()))
    await run_sink(hands, lambda: is_at(postgres, 1)() and hands.heard.state.withheld == 1)
    state = hands.heard.state
    assert (state.dirty, state.withheld, state.catching_up, state.waiting) == (0, 1, 0, 0)
    assert hands.sink.troubles() == []


async def test_a_defect_of_ours_ends_the_sink() -> None:
    _, postgres, hands = made()
    counted(hands.any, "a")

    async def broken(*_: object) -> None:
        raise KeyError("ours")

    postgres.read_withheld = broken  # type: ignore[assignment,method-assign]
    with pytest.raises(KeyError, match="ours"):
        await run_sink(hands, lambda: False)


@pytest.mark.parametrize("name", [PROGRESS_KEY, None])
async def test_a_record_that_is_not_tallys_ends_the_sink_by_name_and_nothing_is_written(
    name: bytes | None,
) -> None:
    partition, postgres, hands = made()
    partition.logs[COUNTERS].append([(name, b"?")], partition.now_ms)  # type: ignore[list-item]
    counted(partition, "a")
    with pytest.raises(ForeignRecord, match="no key or no progress"):
        await run_sink(hands, lambda: False)
    assert postgres.rows == {}


async def test_a_table_that_refuses_everything_is_a_fault_and_not_ten_thousand_bad_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Withheld, "MOST", 3)
    partition, postgres, hands = made()
    postgres.unstorable.update(("rows", key(f"c{n}").encode()) for n in range(5))
    counted(partition, *(f"c{n}" for n in range(5)))
    life = Life(hands)
    await life.run(lambda: bool(life.task.trouble), 0.1)
    assert life.task.trouble == "22021: Postgres refuses more than 3 entries"


@pytest.mark.parametrize(
    ("took", "pause"), [(0.0, 1.0), (0.2, 0.8), (1 / 3, 2 / 3), (0.5, 1.0), (1.0, 2.0), (9.0, 2.0)]
)
async def test_a_write_begins_each_interval_and_a_long_one_rests_for_longer(
    took: float, pause: float
) -> None:
    assert pause_seconds(1.0, took) == pytest.approx(pause)
