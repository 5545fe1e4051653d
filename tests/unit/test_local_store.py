"""The local half of a partition's tables finds entries by key, and by what keys begin with."""

from pathlib import Path

from tally.tables.store.local import LocalStore, Meta

META = Meta("store", {}, 0)


def test_entries_are_found_by_what_their_keys_begin_with_in_order_and_in_their_table_alone(
    tmp_path: Path,
) -> None:
    store = LocalStore(tmp_path / "p0")
    keys = [b"vpbx1/u2", b"vpbx1/u1", b"vpbx10/u1", b"opbx1/u1", b"vpbx1"]
    store.write({"open": dict.fromkeys(keys, b"1"), "opened": {b"vpbx1/u3": b"1"}}, META)

    assert [key for key, _ in store.items("open", b"vpbx1/")] == [b"vpbx1/u1", b"vpbx1/u2"]
    assert [key for key, _ in store.items("open")] == sorted(keys)
    assert list(store.items("open", b"x")) == []

    store.write({"open": {b"vpbx1/u1": None}}, META)
    assert [key for key, _ in store.items("open", b"vpbx1/")] == [b"vpbx1/u2"]
    store.close()
