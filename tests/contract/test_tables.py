"""Tables on disk and tables in memory answer alike: laws of the fold that hold in memory hold on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.tables.store.interface import StateReader, Writes
from tally.tables.store.local import LocalStore, Meta
from tally.tables.store.memory import MemoryTables

META = Meta("store", {}, 0)
TABLES = ("open", "resyncs", "counters")
KEYS = st.binary(max_size=3) | st.sampled_from([b"a", b"a/", b"a/b", b"b", b"\xff", b"\xff\xff", b"\0"])
VALUES = st.none() | st.binary(max_size=4)
WRITES = st.dictionaries(st.sampled_from(TABLES), st.dictionaries(KEYS, VALUES, max_size=6), max_size=3)

Write = Callable[[Writes], None]


def on_disk(folder: Path) -> tuple[StateReader, Write]:
    store = LocalStore(folder / "p0")
    return store, lambda writes: store.write(writes, META)


def in_memory(_: Path) -> tuple[StateReader, Write]:
    tables = MemoryTables()
    return tables, tables.apply


@pytest.fixture(params=[on_disk, in_memory])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[StateReader, Write]:
    made: tuple[StateReader, Write] = request.param(tmp_path)
    return made


def test_what_was_written_is_found_in_its_table_alone(opened: tuple[StateReader, Write]) -> None:
    tables, write = opened
    write({"open": {b"k": b"1"}, "resyncs": {b"l": b"2"}})

    assert tables.get_many("open", [b"k", b"l", b"k"]) == [b"1", None, b"1"]
    assert tables.get_many("resyncs", []) == []
    assert tables.get_many("calls", [b"k"]) == [None]


def test_the_latest_write_holds_and_none_deletes(opened: tuple[StateReader, Write]) -> None:
    tables, write = opened
    write({"open": {b"k": b"1", b"gone": b"1"}})
    write({"open": {b"k": b"", b"gone": None, b"never": None}})

    assert tables.get_many("open", [b"k", b"gone", b"never"]) == [b"", None, None]
    assert tables.keys_under("open", b"") == [b"k"]


def test_keys_come_in_the_order_of_their_bytes_from_where_one_asks_and_so_many(
    opened: tuple[StateReader, Write],
) -> None:
    tables, write = opened
    write({"open": dict.fromkeys([b"b\xff", b"b", b"a", b"b/2", b"b/1", b"c"], b"1")})

    assert tables.keys_under("open", b"b") == [b"b", b"b/1", b"b/2", b"b\xff"]
    assert tables.keys_under("open", b"b", begin=b"b/1", most=2) == [b"b/1", b"b/2"]
    assert tables.keys_under("open", b"b", begin=b"a") == [b"b", b"b/1", b"b/2", b"b\xff"]
    assert tables.keys_under("open", b"b", begin=b"c") == []
    assert tables.keys_under("open", b"b", most=0) == []


def test_both_say_the_same_of_whatever_was_written(tmp_path: Path) -> None:
    disk = LocalStore(tmp_path / "p0")

    @given(batches=st.lists(WRITES, max_size=4), prefix=KEYS, begin=KEYS, most=st.none() | st.integers(0, 5))
    def same(batches: list[Writes], prefix: bytes, begin: bytes, most: int | None) -> None:
        # To open a store is the slow part, so that one is emptied for each example.
        memory = MemoryTables()
        disk.write({table: dict.fromkeys(disk.keys_under(table, b"")) for table in TABLES}, META)
        for writes in batches:
            disk.write(writes, META)
            memory.apply(writes)
        keys = sorted({key for writes in batches for entries in writes.values() for key in entries})
        for table in TABLES:
            under = (table, prefix, begin, most)
            assert memory.get_many(table, keys) == disk.get_many(table, keys)
            assert memory.keys_under(*under) == disk.keys_under(*under)
            assert list(memory.items(table, prefix, begin)) == list(disk.items(table, prefix, begin))

    same()
    disk.close()
