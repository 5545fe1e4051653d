"""The local half of a partition's tables: one RocksDB, a copy that can always be rebuilt."""

import shutil
from collections.abc import Iterator, Sequence
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
    WriteOptions,
)

from tally.tables.reading import Writes

_META = b"\x00meta"
_WRITE_BUFFER_BYTES = 2 << 20
"""Each partition has two."""
_FILES_BEFORE_COMPACTION = 8
"""Twice RocksDB's own, since files of such small buffers are half as large: compacting cost twice the CPU."""
_FLUSH_MS = 3_600_000
"""A copy that is seldom written to goes to disk this often: after a kill it is not an old one."""
_CACHE = Cache(8 << 20)  # one for all partitions of the process; the default is one each


class Meta(Struct, frozen=True, array_like=True):
    """What the copy is a copy of."""

    store_id: str
    offsets: dict[str, int]
    """By table: the next changelog offset to apply."""
    touched_ms: int
    """When it was last written; one that slept too long may have missed tombstones."""


_decode_meta = msgspec.msgpack.Decoder(Meta).decode
_encode_meta = msgspec.msgpack.Encoder().encode


class LocalStore:
    """Tables of one partition on this machine's disk; every write is atomic over all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._remove_wiped()
        self._db = Rdict(str(path), options=_options())
        raw = self._db.get(_META)
        self.meta: Meta | None = None if raw is None else _decode_meta(raw)
        self._flushed_ms = self.meta.touched_ms if self.meta else 0

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, None where there is none."""
        prefix = table.encode() + b"/"
        if not keys:
            return []
        return cast(list[bytes | None], self._db.get([prefix + key for key in keys]))

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the keys that begin with the prefix, in order; from `begin` on, and so many at most."""
        return [key for key, _ in islice(self.items(table, prefix, begin), most)]

    def items(self, table: str, prefix: bytes = b"", begin: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Iterate over a table, or its keys with the prefix, in the order of its keys, from `begin` on."""
        table_prefix = table.encode() + b"/"
        under = table_prefix + prefix
        for found, value in self._db.items(from_key=max(under, table_prefix + begin)):
            key = cast(bytes, found)  # the wheel's types do not know of its raw mode
            if not key.startswith(under):
                return
            yield key[len(table_prefix) :], value

    def write(self, writes: Writes, meta: Meta) -> None:
        """Apply changes of several tables and what they bring the copy up to, all or nothing."""
        batch = WriteBatch(raw_mode=True)
        for table, entries in writes.items():
            prefix = table.encode() + b"/"
            for key, value in entries.items():
                if value is None:
                    batch.delete(prefix + key)
                else:
                    batch.put(prefix + key, value)
        batch.put(_META, _encode_meta(meta))
        self._db.write(batch, _unlogged())
        self.meta = meta
        if meta.touched_ms - self._flushed_ms >= _FLUSH_MS:
            self._db.flush()
            self._flushed_ms = meta.touched_ms

    def wipe(self) -> None:
        """Forget everything: this copy is of another log, or too old to be brought up to date."""
        self._db.close()
        # Under another name first: what a kill leaves of a half removed copy can never be opened.
        self._path.rename(self._wiped)
        self._remove_wiped()
        self._db = Rdict(str(self._path), options=_options())
        self.meta = None
        self._flushed_ms = 0

    def close(self) -> None:
        """Write what is still in memory, and close the files."""
        self._db.close()

    @property
    def _wiped(self) -> Path:
        return self._path.with_suffix(".wiped")

    def _remove_wiped(self) -> None:
        if self._wiped.exists():
            shutil.rmtree(self._wiped)


def _unlogged() -> WriteOptions:
    """Leave out RocksDB's own log: after a kill the copy is that of its last flush, and replays the rest.

    A flush holds all tables and what they are brought up to, of one moment. The log cost as much as all else.
    """
    options = WriteOptions()
    setattr(options, "disable_wal", True)  # noqa: B010 - the wheel's types take it for a method
    return options


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(_CACHE)
    table.set_bloom_filter(10, block_based=False)
    table.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
    table.set_data_block_hash_ratio(0.75)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    # Most keys that are looked up are new: a filter says so for what is in memory, too.
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_memtable_whole_key_filtering(True)
    options.set_level_zero_file_num_compaction_trigger(_FILES_BEFORE_COMPACTION)
    options.set_max_open_files(64)
    options.set_keep_log_file_num(1)
    return options
