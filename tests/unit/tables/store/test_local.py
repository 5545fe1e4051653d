"""The local half of a partition's tables finds entries by key and by key prefix."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tally.tables.store.errors import CopyUnfit
from tally.tables.store.local import LocalStore, MemoryBudget, Meta, remove

META = Meta("store", {}, 0)
BATCHES, KEYS = 40, 1_000
DEADLINE_SECONDS = 60.0
KILLED = f"""
import os, signal, sys
from pathlib import Path
from tally.tables.store.local import LocalStore, MemoryBudget, Meta, remove
store = LocalStore(Path(sys.argv[1]))
for batch in range(1, {BATCHES} + 1):
    written = {{b"%d" % (batch * {KEYS} + key): bytes(400) for key in range({KEYS})}}
    last = {{b"batch": b"%d" % batch}}
    store.write({{"open": written, "resyncs": last}}, Meta("store", {{"states": batch}}, 0))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_entries_are_found_by_what_their_keys_begin_with_in_order_and_in_their_table_alone(
    tmp_path: Path,
) -> None:
    store = LocalStore(tmp_path / "p0")
    keys = [b"vpbx1/u2", b"vpbx1/u1", b"vpbx10/u1", b"opbx1/u1", b"vpbx1"]
    store.write({"open": dict.fromkeys(keys, b"1"), "resyncs": {b"vpbx1/u3": b"1"}}, META)

    assert [key for key, _ in store.items("open", b"vpbx1/")] == [b"vpbx1/u1", b"vpbx1/u2"]
    assert [key for key, _ in store.items("open")] == sorted(keys)
    assert list(store.items("open", b"x")) == []

    store.write({"open": {b"vpbx1/u1": None}}, META)
    assert [key for key, _ in store.items("open", b"vpbx1/")] == [b"vpbx1/u2"]
    store.close()


def test_what_was_written_is_there_after_an_orderly_close(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "p0")
    store.write({"open": {b"k": b"1"}}, Meta("store", {"states": 7}, 5))
    store.close()
    again = LocalStore(tmp_path / "p0")

    assert again.get_many("open", [b"k"]) == [b"1"]
    assert again.meta == Meta("store", {"states": 7}, 5)
    again.close()


def test_a_copy_of_another_partition_in_its_place_is_unfit(tmp_path: Path) -> None:
    for name in ("p0", "p1"):
        store = LocalStore(tmp_path / name)
        store.write({"open": {b"k": name.encode()}}, META)
        store.close()
    shutil.rmtree(tmp_path / "p1")
    shutil.copytree(tmp_path / "p0", tmp_path / "p1")

    with pytest.raises(CopyUnfit, match="other_store"):
        LocalStore(tmp_path / "p1")
    LocalStore(tmp_path / "p0").close()


def test_after_a_kill_all_tables_and_what_they_are_a_copy_of_are_of_one_earlier_moment(
    tmp_path: Path,
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "p0")], check=False, timeout=60)  # noqa: S603
    store = LocalStore(tmp_path / "p0")
    assert store.meta is not None
    batch = store.meta.offsets["states"]

    assert killed.returncode == -signal.SIGKILL
    assert 0 < batch < BATCHES  # the last ones were in memory only
    assert len(list(store.items("open"))) == batch * KEYS
    assert store.get_many("resyncs", [b"batch"]) == [b"%d" % batch]
    store.close()


WIPED = """
import os, shutil, signal, sys
from pathlib import Path
from tally.tables.store.local import LocalStore, MemoryBudget, Meta, remove
store = LocalStore(Path(sys.argv[1]))
store.write({"open": {b"k": b"1"}}, Meta("store", {"states": 1}, 0))
def killed(path):
    for file in Path(path).glob("MANIFEST*"):
        file.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
shutil.rmtree = killed
store.close()
remove(Path(sys.argv[1]))
"""


def test_after_a_kill_in_the_middle_of_a_wipe_there_is_an_empty_copy(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", WIPED, str(tmp_path / "p0")], check=False, timeout=60)  # noqa: S603
    store = LocalStore(tmp_path / "p0")

    assert killed.returncode == -signal.SIGKILL
    assert store.meta is None
    assert list(store.items("open")) == []
    assert [path.name for path in tmp_path.iterdir()] == ["p0"]
    store.close()


OLD = """
import os, signal, sys
from pathlib import Path
from tally.tables.store.local import LocalStore, MemoryBudget, Meta, remove
store = LocalStore(Path(sys.argv[1]))
for hour in range(1, 5):
    store.write({"open": {b"k": b"%d" % hour}}, Meta("store", {"states": hour}, hour * 3_600_000))
    store.write({"open": {b"k": b"later"}}, Meta("store", {"states": hour}, hour * 3_600_000 + 1))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_a_copy_that_was_written_to_seldom_is_of_the_last_hour(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", OLD, str(tmp_path / "p0")], check=False, timeout=60)  # noqa: S603
    store = LocalStore(tmp_path / "p0")

    assert killed.returncode == -signal.SIGKILL
    assert store.meta == Meta("store", {"states": 4}, 4 * 3_600_000)
    assert store.get_many("open", [b"k"]) == [b"4"]
    store.close()


def test_copies_together_stay_within_their_budget_whatever_is_written_and_read(tmp_path: Path) -> None:
    budget = MemoryBudget(16 << 20)
    stores = [LocalStore(tmp_path / f"p{partition}", budget) for partition in range(3)]
    for batch in range(60):
        for store in stores:
            keys = [b"%d-%d" % (batch, key) for key in range(1_000)]
            store.write({"open": {key: os.urandom(500) for key in keys}}, META)
            store.get_many("open", [b"%d-%d" % (batch // 2, key) for key in range(1_000)])
    # A full buffer is freed once RocksDB's own thread has written it, which takes its time on a busy machine.
    ends_s = time.monotonic() + DEADLINE_SECONDS
    while budget.cache.get_usage() > 17 << 20 and time.monotonic() < ends_s:
        time.sleep(0.05)
    held = budget.cache.get_usage()
    for store in stores:
        store.close()

    assert (4 << 20) < held <= 17 << 20


FLIPPED_EACH_BYTES = 64
ENTRIES = {b"%06d" % n: b"value %d" % n for n in range(500)}


def files_of(path: Path, kind: str) -> list[Path]:
    return sorted(file for file in path.glob(kind) if file.stat().st_size)


def filled(path: Path) -> None:
    store = LocalStore(path)
    store.write({"open": dict(ENTRIES)}, META)
    store.close()


def answers_or_raises(path: Path) -> bool:
    """Return whether a copy answers everything rightly; False where it says that it is unfit, or empty."""
    try:
        # Blocks of one file would be remembered for another that has its name and a flipped bit.
        store = LocalStore(path, MemoryBudget(0))
    except CopyUnfit:
        return False
    try:
        found = dict(store.items("open"))
        values = store.get_many("open", list(ENTRIES))
    except CopyUnfit:
        return False
    finally:
        store.close()
    if store.meta is None:
        assert found == {}
        return False
    assert found == ENTRIES
    assert values == list(ENTRIES.values())
    return True


def test_a_flipped_bit_of_a_table_file_is_never_believed(tmp_path: Path) -> None:
    filled(tmp_path / "whole")
    (table,) = files_of(tmp_path / "whole", "*.sst")
    whole = table.read_bytes()
    places = range(0, len(whole), FLIPPED_EACH_BYTES)
    unfit = 0
    for place in places:
        path = tmp_path / f"flipped-{place}" / "whole"
        shutil.copytree(tmp_path / "whole", path)
        (path / table.name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        unfit += not answers_or_raises(path)

    assert unfit > len(places) // 2


@pytest.mark.parametrize("kind", ["*.sst", "CURRENT", "MANIFEST-*"])
@pytest.mark.parametrize("harm", ["cut", "gone", "garbage", "folder"])
def test_a_copy_of_which_a_file_is_damaged_is_unfit_and_can_be_made_anew(
    tmp_path: Path, kind: str, harm: str
) -> None:
    path = tmp_path / "p0"
    filled(path)
    (file, *_) = files_of(path, kind)
    if harm == "gone":
        file.unlink()
    elif harm == "folder":
        file.unlink()
        file.mkdir()
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.write_bytes(b"garbage" * 50)

    assert not answers_or_raises(path)
    remove(path)
    filled(path)
    assert answers_or_raises(path)


def test_nobody_else_may_look_into_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "state" / "p0"
    filled(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o700
