"""The local half of a partition's tables: a copy in RocksDB that can always be rebuilt."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec
from msgspec import Struct
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DataBlockIndexType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from tally.schemas.tables import CODES
from tally.schemas.topics import COUNTERS, STATES, Changelog
from tally.tables.store.errors import CopyUnfit
from tally.tables.store.interface import Entries, Writes, by_changelog

_PREFIXES: Mapping[Changelog, bytes] = {STATES: b"", COUNTERS: CODES[COUNTERS]}
"""What stands here before the keys of a changelog: those of states begin with their table's byte already."""
_META = b"\x00meta"
"""No key of a changelog is this or `_OWNER`: of those that begin with NUL, states hold progress alone."""
_OWNER = b"\x00owner"
"""The key that names the copy's partition. A copy of another partition does not match these changelogs."""
_LEAST_BUFFER_BYTES = 2 << 20
"""The least size of a write buffer; each partition has two."""
_BUFFERS_AT_ONCE = 8
"""Buffers that the half of a budget which buffers may take is divided into: two partitions fill four."""
_FILES_BEFORE_COMPACTION = 8
"""Twice RocksDB's default: such small buffers make files half as large, and compaction cost twice the CPU."""
_FLUSH_MS = 3_600_000
"""A rarely written copy is flushed to disk this often, so that it is not old after a kill."""
_DAMAGED = ("Corruption", "No such file or directory", "Invalid argument", "Is a directory")
"""What RocksDB's messages contain if a file of the copy is damaged, missing or not its own."""


class MemoryBudget:
    """The memory that the local copies of a process share: a cache of blocks, half of it for write buffers.

    Buffers are taken from the cache while they are full of writes, so the budget is one for both. Indexes and
    filters of open files are in the cache as well. A write beyond the budget begins a flush and does not wait
    for it: while the disk or the cores are busy the copies may hold more.
    """

    def __init__(self, size_bytes: int) -> None:
        self.cache = Cache(size_bytes)
        self.buffer_bytes = max(_LEAST_BUFFER_BYTES, size_bytes // 2 // _BUFFERS_AT_ONCE)
        # Stalling was rejected: a write would block the event loop until a flush is done.
        self.buffers = WriteBufferManager.new_write_buffer_manager_with_cache(
            size_bytes // 2, False, self.cache
        )


SMALL_BUDGET = MemoryBudget(16 << 20)
"""The budget of copies that are given none, such as those of an audit."""


class Meta(Struct, frozen=True, array_like=True):
    """Which store the copy belongs to, and how far it is applied."""

    store_id: str
    offsets: Mapping[Changelog, int]
    """The next offset to apply, by changelog."""
    touched_ms: int
    """The brokers' time of the newest record; a copy that is too old may have missed tombstones."""


_decode_meta = msgspec.msgpack.Decoder(Meta).decode
_encode_meta = msgspec.msgpack.Encoder().encode


class LocalStore:
    """Tables of one partition on the local disk; every write is atomic over all of them.

    Every method either works correctly or raises CopyUnfit, if a file is damaged or missing. No data is lost
    then: `remove` the copy, and read the changelogs again.
    """

    def __init__(self, path: Path, budget: MemoryBudget = SMALL_BUDGET) -> None:
        self._path = path
        self._owner = path.name.encode()
        # The copy holds personal data: only the user that runs Tally may read it.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_removed(path)
        with _believed():
            self._db = Rdict(str(path), options=_options(budget))
        try:
            with _believed():
                raw = self._db.get(_META)
                self.meta: Meta | None = None if raw is None else _decode_meta(raw)
                if (owner := self._db.get(_OWNER, self._owner)) != self._owner:
                    raise CopyUnfit("other_store", f"it is the copy of {cast(bytes, owner).decode()}")
        except BaseException:
            self._db.close()
            raise
        self._flushed_ms = self.meta.touched_ms if self.meta else 0

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, None for a missing one."""
        if not keys:
            return []
        prefix = CODES[table]
        with _believed():
            return cast(list[bytes | None], self._db.get([prefix + key for key in keys]))

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the keys that begin with the prefix, in order, from `begin` on and at most `most`."""
        return [key for key, _ in islice(self.items(table, prefix, begin), most)]

    def items(self, table: str, prefix: bytes = b"", begin: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Iterate over a table's entries with the prefix, in the order of keys, from `begin` on."""
        code = CODES[table]
        under, cut = code + prefix, len(code)
        with _believed():
            # The wheel's own `items()` ends silently at a damaged block.
            found = self._db.iter()
            found.seek(max(under, code + begin))
            while found.valid():
                key = cast(bytes, found.key())  # the wheel's types do not know of its raw mode
                if not key.startswith(under):
                    return
                yield key[cut:], cast(bytes, found.value())
                found.next()
            found.status()

    def write(self, writes: Writes, meta: Meta) -> None:
        """Apply changes of several tables, and the meta data that they bring the copy to, atomically."""
        self.apply(by_changelog(writes), meta)

    def apply(self, changes: Mapping[Changelog, Entries], meta: Meta) -> None:
        """Apply changes by changelog, under its keys, as `write` does those of tables."""
        batch = WriteBatch(raw_mode=True)
        for changelog, entries in changes.items():
            prefix = _PREFIXES[changelog]
            for key, value in entries.items():
                if value is None:
                    batch.delete(prefix + key)
                else:
                    batch.put(prefix + key, value)
        batch.put(_META, _encode_meta(meta))
        if self.meta is None:
            batch.put(_OWNER, self._owner)
        with _believed():
            self._db.write(batch, _unlogged())
        self.meta = meta
        if meta.touched_ms - self._flushed_ms >= _FLUSH_MS:
            with _believed():
                self._db.flush()
            self._flushed_ms = meta.touched_ms

    def close(self) -> None:
        """Flush the memory to disk, and close the files. Raises CopyUnfit."""
        with _believed():
            self._db.close()


def remove(path: Path) -> None:
    """Delete a closed copy, which is of another log, too old to be brought up to date, or damaged."""
    # Renamed first: after a kill a half deleted copy can never be opened.
    _remove_removed(path)
    if path.exists():
        path.rename(_removed(path))
        _remove_removed(path)


def _removed(path: Path) -> Path:
    return path.with_suffix(".wiped")


def _remove_removed(path: Path) -> None:
    if _removed(path).exists():
        shutil.rmtree(_removed(path))


@contextmanager
def _believed() -> Iterator[None]:
    """Raise CopyUnfit for errors of a damaged copy; let others pass, such as a full disk."""
    try:
        yield
    except msgspec.MsgspecError as error:
        raise CopyUnfit("corrupt", type(error).__name__) from None
    except Exception as error:
        # The wheel raises one type for all errors of RocksDB; only the text tells them apart.
        if any(sign in str(error) for sign in _DAMAGED):
            raise CopyUnfit("corrupt", str(error)) from None
        raise


def _unlogged() -> WriteOptions:
    """Return write options that disable RocksDB's write-ahead log, which cost as much as all else.

    After a kill the copy is that of its last flush, and the rest is replayed from the changelogs. A flush
    holds all tables and their offsets as of one moment.
    """
    options = WriteOptions()
    setattr(options, "disable_wal", True)  # noqa: B010 - the wheel's types take it for a method
    return options


def _options(budget: MemoryBudget) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(budget.cache)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_bloom_filter(10, block_based=False)
    table.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
    table.set_data_block_hash_ratio(0.75)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(budget.buffer_bytes)
    options.set_write_buffer_manager(budget.buffers)
    options.set_max_write_buffer_number(2)
    # Most lookups are of new keys: bloom filters answer for the memtable, too.
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_memtable_whole_key_filtering(True)
    options.set_level_zero_file_num_compaction_trigger(_FILES_BEFORE_COMPACTION)
    options.set_max_open_files(64)
    options.set_keep_log_file_num(1)
    return options
