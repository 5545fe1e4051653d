"""Each sentence about cuts, on two logs in memory whose compaction and clocks are set by hand."""

from tally.agents.sink.cuts import Bounds
from tally.schemas.rows import UNFINISHED
from tally.schemas.topics import COUNTERS, STATES
from tests.support.sink_logs import BOUNDS, LAG_SECONDS, RETENTION_SECONDS, Partition, Sink, Table

WIDE = Bounds(compaction_lag_seconds=LAG_SECONDS, delete_retention_seconds=RETENTION_SECONDS)


def values(**named: int) -> dict[bytes, bytes | None]:
    return {name.encode(): str(value).encode() for name, value in named.items()}


def made(bounds: Bounds = WIDE) -> tuple[Partition, Table, Sink]:
    partition, table = Partition(), Table()
    return partition, table, Sink(partition, table, "a", bounds)


def is_cut(table: Table) -> bool:
    return table.progress is not None and table.progress.is_cut


def read_all(sink: Sink) -> None:
    sink.read(STATES, 1_000)
    sink.read(COUNTERS, 1_000)


def test_a_cut_is_a_transaction_that_both_logs_have_and_nothing_of_a_later_one() -> None:
    partition, table, sink = made()
    partition.commit(values(r=1), values(c=1))
    sink.run_to_end()
    partition.commit(values(r=2), values(c=2))
    partition.commit(values(r=3), values(c=3))
    sink.read(STATES, 1_000)
    sink.read(COUNTERS, 2)
    assert sink.write()
    assert table.progress is not None
    assert (table.progress.seq, table.progress.is_cut) == (2, True)
    assert table.held == {("rows", b"r"): b"2", ("cells", b"c"): b"2"} == partition.moments[2]


def test_what_only_one_log_has_waits_for_the_other() -> None:
    partition, table, sink = made()
    partition.commit(values(r=1), values(c=1))
    sink.run_to_end()
    partition.commit(values(r=2), values(c=2))
    sink.read(STATES, 1_000)
    assert not sink.write()
    assert table.held == partition.moments[1]


def test_an_old_progress_record_of_a_compacted_log_is_no_boundary() -> None:
    # The cleaner ends within transaction 3: it leaves P2, and takes m1 of transaction 1, which P2 stood for.
    partition, table, sink = made()
    partition.commit(values(r1=1), values(m1=1))
    partition.commit(values(r2=2))
    partition.commit(values(r3=3), values(m1=3, m2=3))
    partition.later(2 * LAG_SECONDS)
    partition.compact(2, 2)
    kept = [record.key for record in partition.logs[STATES].records]
    assert kept == [b"\x00progress", b"m1", b"m2", b"\x00progress"]
    sink.open()
    sink.read(STATES, 1)
    sink.read(COUNTERS, 3)
    assert not sink.write()
    read_all(sink)
    sink.write()
    sink.write()
    assert table.progress is not None
    assert (table.progress.is_cut, table.progress.seq) == (True, 3)
    assert table.held == partition.moments[3]


def test_a_transaction_that_both_logs_still_have_is_no_cut_before_both_are_read_to_their_ends() -> None:
    # As above, but the end of counters was asked for before transaction 3 showed there.
    partition, _, sink = made()
    partition.commit(values(r1=1), values(m1=1))
    partition.commit(values(r2=2))
    end = partition.logs[COUNTERS].end
    partition.commit(values(r3=3), values(m1=3, m2=3))
    partition.later(2 * LAG_SECONDS)
    partition.compact(2, 2)
    end, partition.logs[COUNTERS].end = partition.logs[COUNTERS].end, end
    sink.open()
    partition.logs[COUNTERS].end = end
    sink.read(STATES, 1)
    sink.read(COUNTERS, 3)
    sink.read(STATES, 3)
    assert sink.cuts is not None
    assert sink.cuts.is_following
    assert not sink.write(), "transaction 2 would lack what transaction 1 wrote"


def test_a_log_compacted_between_two_cuts_gives_no_cut_of_what_was_there_meanwhile() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1), values(m1=1))
    sink.run_to_end()
    sink.run_to_end()
    # The sink is held up while this happens, for longer than compaction waits.
    partition.commit(values(r1=2), values(m1=2))
    partition.commit(values(r2=3), values(m2=3))
    partition.commit(values(r1=4), values(m1=4, m2=4))
    partition.later(2 * LAG_SECONDS)
    partition.compact(2, 2)
    before = sink.opened
    sink.read(STATES, 1)
    sink.read(COUNTERS, 2)
    assert not sink.write()
    sink.run_to_end()
    assert sink.opened > before
    assert table.held == partition.moments[4]


def test_a_reading_that_took_longer_than_compaction_waits_makes_no_cut_at_its_ends() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1), values(m1=1))
    partition.commit(values(r2=2), values(m2=2))
    sink.open()
    partition.commit(values(r1=3, r3=3), values(m1=3, m3=3))
    partition.later(2 * LAG_SECONDS)
    partition.compact(2, 2)
    assert b"m1" not in [record.key for record in partition.logs[STATES].read(0, 2)]
    sink.read(STATES, 2)
    sink.read(COUNTERS, 2)
    assert not sink.write(), "transaction 2 would lack what transaction 1 wrote"
    sink.run_to_end()
    assert table.held == partition.moments[3]


def test_a_suspended_machine_is_told_by_kafkas_time() -> None:
    partition, _, sink = made()
    partition.commit(values(r=1))
    sink.run_to_end()
    cuts = sink.cuts
    assert cuts is not None
    partition.now_ms += round(LAG_SECONDS * 2000)
    partition.commit(values(r=2))
    cuts.apply(COUNTERS, partition.logs[COUNTERS].read(cuts.places()[COUNTERS], 9), partition.now_s - 199)
    assert cuts.reopen == "behind"


def test_who_is_further_behind_writes_bounded_chunks_until_it_has_passed_both_ends() -> None:
    partition, table, sink = made(BOUNDS)
    for n in range(20):
        partition.commit(values(**{f"r{n}": n}), values(**{f"m{n}": n}))
    sink.open()
    most, cuts, places = 0, [], []
    for _ in range(40):
        sink.read(STATES, 3)
        sink.read(COUNTERS, 3)
        assert sink.cuts is not None
        most = max(most, sink.cuts.dirty)
        if sink.write():
            assert table.progress is not None
            cuts.append(table.progress.is_cut)
            places.append(table.progress.places)
    assert most <= BOUNDS.most_entries + 6
    assert cuts[-1] is True
    assert not any(cuts[:-1])
    assert len(cuts) > 5
    assert len({tuple(place.items()) for place in places}) > 5, "chunks leave their offsets"
    assert table.held == partition.moments[20]


def test_no_cut_is_made_of_a_transaction_of_which_a_chunk_has_written_later_ones() -> None:
    # States are read far beyond their end, counters not to theirs: the chunk holds states of later ones.
    partition, table, sink = made(BOUNDS)
    for n in range(4):
        partition.commit(values(**{f"r{n}": n}), values(m=n))
    sink.open()
    for n in range(4, 12):
        partition.commit(values(r=n), values(m=n, **{f"m{n}": n}))
    sink.read(STATES, 1_000)
    assert sink.write()
    while table.progress is None or not table.progress.is_cut:
        sink.read(COUNTERS, 1)
        sink.write()
    assert table.held == partition.moments[table.progress.seq]


def test_half_a_transaction_that_a_chunk_has_written_is_in_no_cut_before_its_end() -> None:
    partition, table, sink = made(BOUNDS)
    partition.commit(values(r=1), values(m=1))
    sink.open()
    partition.commit(values(r=2), values(**{f"m{n}": 2 for n in range(9)}))
    sink.read(STATES, 8)
    assert sink.write(), "a chunk with half of transaction 2"
    sink.read(COUNTERS, 2)
    assert not sink.write(), "transaction 1 would be a cut without its states"
    sink.run_to_end()
    assert table.held == partition.moments[2]


def test_where_one_log_is_far_ahead_only_the_other_is_read() -> None:
    partition, _, sink = made(BOUNDS)
    partition.commit(values(r=1), values(m=1))
    sink.run_to_end()
    for n in range(10):
        partition.commit(values(r=n), values(**{f"m{n}": n}))
    assert sink.cuts is not None
    sink.read(STATES, 1_000)
    assert sink.cuts.is_full
    assert sink.cuts.wanted() == [COUNTERS]


def test_a_cut_is_one_transaction_however_much_the_fold_has_changed_in_one() -> None:
    partition, table, sink = made(BOUNDS)
    partition.commit(values(r=1), values(m=1))
    sink.run_to_end()
    partition.commit(values(**{f"r{n}": n for n in range(20)}), values(m=2))
    read_all(sink)
    assert sink.write()
    assert table.progress is not None
    assert (table.progress.is_cut, table.progress.seq) == (True, 2)
    assert table.held == partition.moments[2]


def test_a_killed_sink_reaches_the_cut_of_its_last_chunk_although_nothing_happens_any_more() -> None:
    partition, table, sink = made(BOUNDS)
    for n in range(9):
        partition.commit(values(**{f"r{n}": n}))
    sink.open()
    sink.read(COUNTERS, 1_000)
    sink.read(STATES, 5)
    assert sink.write()
    assert not is_cut(table)
    sink.forget()
    sink.run_to_end()
    assert is_cut(table)
    assert table.held == partition.moments[9]


def test_a_recount_in_several_transactions_is_no_cut_until_its_last() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1))
    sink.run_to_end()
    partition.commit(values(r1=2), rules="unfinished")
    read_all(sink)
    assert not sink.write()
    assert table.held == partition.moments[1]
    assert sink.opened == 1


def test_a_sink_that_begins_during_a_recount_takes_no_part_of_it_for_a_cut() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1))
    partition.rules = UNFINISHED
    partition.commit(values(r1=2))
    sink.open()
    read_all(sink)
    assert not sink.write()
    partition.rules = "r2"
    partition.commit(values(r2=2))
    sink.run_to_end()
    assert table.progress is not None
    assert (table.progress.rules, table.held) == ("r2", partition.moments[3])


def test_other_rules_are_a_new_epoch_and_what_it_has_not_written_is_deleted() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1))
    sink.run_to_end()
    assert table.progress is not None
    epoch = table.progress.epoch
    table.rows["rows", b"left-over"] = (b"?", epoch)
    partition.rules = "r2"
    partition.commit(values(r1=2))
    sink.run_to_end()
    assert (table.progress.rules, table.progress.epoch > epoch) == ("r2", True)
    assert table.held == partition.moments[2]


def test_a_rules_change_while_the_sink_is_away_is_a_new_epoch() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1))
    sink.run_to_end()
    sink.forget()
    table.rows["rows", b"left-over"] = (b"?", 0)
    partition.rules = "r2"
    partition.commit(values(r1=2))
    sink.run_to_end()
    assert table.progress is not None
    assert table.progress.rules == "r2"
    assert table.held == partition.moments[2]


def test_while_a_new_epoch_is_read_postgres_holds_no_cut() -> None:
    partition, table, sink = made(BOUNDS)
    for n in range(20):
        partition.commit(values(**{f"r{n}": n}))
    sink.run_to_end()
    sink.forget()
    partition.rules = "r2"
    partition.commit(values(r=1))
    sink.open()
    seen = []
    for _ in range(30):
        sink.read(STATES, 4)
        sink.read(COUNTERS, 4)
        if sink.write():
            assert table.progress is not None
            seen.append(table.progress.is_cut)
    assert seen[-1] is True
    assert not any(seen[:-1])
    assert len(seen) > 3


def test_a_dump_older_than_the_tombstones_leaves_nothing_that_was_deleted() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1), values(m1=1, m2=1))
    sink.run_to_end()
    dump, progress = dict(table.rows), table.progress
    partition.commit({b"r1": None}, {b"m1": None})
    sink.run_to_end()
    partition.forget_tombstones()
    partition.commit(values(r3=1), values(m3=1))
    assert b"r1" not in [record.key for record in partition.logs[COUNTERS].records], "the tombstone is gone"
    table.rows, table.progress = dump, progress
    sink.run_to_end()
    assert table.held == partition.moments[3]


def test_a_sink_that_was_held_up_for_longer_than_tombstones_live_reads_from_the_start() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1))
    sink.run_to_end()
    partition.commit({b"r1": None})
    partition.forget_tombstones()
    partition.commit(values(r3=1))
    sink.run_to_end()
    assert table.held == partition.moments[3]


def test_a_sink_that_was_held_up_in_the_middle_of_a_first_reading_reads_from_the_start() -> None:
    partition, table, sink = made(BOUNDS)
    partition.commit(values(r1=1, r2=1, r3=1, r4=1, r5=1, r6=1))
    partition.commit(values(r7=1, r8=1, r9=1))
    sink.read(COUNTERS, 7)
    assert sink.write()
    assert table.progress is not None
    assert not table.progress.is_cut
    partition.commit({b"r1": None})
    partition.forget_tombstones()
    sink.run_to_end()
    assert table.held == partition.moments[3]


def test_a_dump_older_than_the_tombstones_is_noticed_with_a_slow_clock_as_well() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1))
    sink.run_to_end()
    dump, progress = dict(table.rows), table.progress
    partition.commit({b"r1": None})
    sink.run_to_end()
    partition.forget_tombstones()
    partition.commit(values(r3=1))
    table.rows, table.progress = dump, progress
    sink.clock_ms = -2 * round(RETENTION_SECONDS * 1000)
    sink.run_to_end()
    assert table.held == partition.moments[3]


def test_a_younger_dump_is_caught_up_with_from_its_offsets() -> None:
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1))
    sink.run_to_end()
    dump, progress = dict(table.rows), table.progress
    partition.commit({b"r1": None})
    sink.run_to_end()
    table.rows, table.progress = dump, progress
    sink.run_to_end()
    assert progress is not None
    assert table.progress is not None
    assert table.progress.epoch == progress.epoch
    assert table.held == partition.moments[2]


def test_a_clock_that_stood_still_is_noticed_although_each_record_follows_the_last_closely() -> None:
    partition, _, sink = made()
    for _ in range(5):
        partition.commit(values(r1=1))
        partition.later(1.0)
        sink.run_to_end()
    opened = sink.opened
    for _ in range(80):
        partition.commit(values(r1=1))
        partition.later(1.0)
    sink.stopped_s = 80.0
    for _ in range(80):
        sink.read(STATES, 2)
        sink.read(COUNTERS, 4)
        partition.later(0.01)
    assert sink.opened == opened + 1


def test_where_nothing_happened_for_longer_than_tombstones_live_nothing_was_missed() -> None:
    """A quiet week is no reason to read everything anew: the logs' ends were seen all the time."""
    partition, table, sink = made()
    partition.commit(values(r1=1, r2=1))
    sink.run_to_end()
    assert table.progress is not None
    epoch = table.progress.epoch
    for _ in range(30):
        partition.later(RETENTION_SECONDS / 10)
        sink.run_to_end()
    partition.commit({b"r1": None})
    sink.run_to_end()
    assert table.held == partition.moments[2]
    assert table.progress.epoch == epoch
