"""The local half of a partition's tables: one RocksDB, a copy that can always be rebuilt."""

import shutil
from collections.abc import Iterator, Sequence
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
    WriteOptions,
)

from tally.tables.store.errors import CopyUnfit
from tally.tables.store.interface import Writes

_META = b"\x00meta"
_OWNER = b"\x00owner"
"""Whose copy it is: a copy of another partition, put in its place, has nothing to do with its changelogs."""
_WRITE_BUFFER_BYTES = 2 << 20
"""Each partition has two."""
_FILES_BEFORE_COMPACTION = 8
"""Twice RocksDB's own, since files of such small buffers are half as large: compacting cost twice the CPU."""
_FLUSH_MS = 3_600_000
"""A copy that is seldom written to goes to disk this often: after a kill it is not an old one."""
_DAMAGED = ("Corruption", "No such file or directory", "Invalid argument", "Is a directory")
"""What RocksDB says of a copy of which a file is damaged, gone or of something else."""
_CACHE = Cache(8 << 20)  # one for all partitions of the process; the default is one each


class Meta(Struct, frozen=True, array_like=True):
    """What the copy is a copy of."""

    store_id: str
    offsets: dict[str, int]
    """By table: the next changelog offset to apply."""
    touched_ms: int
    """The brokers' time of its newest record; one that slept too long may have missed tombstones."""


_decode_meta = msgspec.msgpack.Decoder(Meta).decode
_encode_meta = msgspec.msgpack.Encoder().encode


class LocalStore:
    """Tables of one partition on this machine's disk; every write is atomic over all of them.

    Whatever it is asked, it answers rightly or raises CopyUnfit: a file of it is damaged or gone. Nothing is
    lost by that: `remove` it, and read the changelogs again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = path.name.encode()
        # What stands in it is personal data: for nobody but the user that runs this.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_removed(path)
        with _believed():
            self._db = Rdict(str(path), options=_options())
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
        """Return the value of each key, None where there is none."""
        prefix = table.encode() + b"/"
        if not keys:
            return []
        with _believed():
            return cast(list[bytes | None], self._db.get([prefix + key for key in keys]))

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the keys that begin with the prefix, in order; from `begin` on, and so many at most."""
        return [key for key, _ in islice(self.items(table, prefix, begin), most)]

    def items(self, table: str, prefix: bytes = b"", begin: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Iterate over a table, or its keys with the prefix, in the order of its keys, from `begin` on."""
        table_prefix = table.encode() + b"/"
        under, cut = table_prefix + prefix, len(table_prefix)
        with _believed():
            # Not the wheel's `items()`: it ends at a damaged block as if there were no more.
            found = self._db.iter()
            found.seek(max(under, table_prefix + begin))
            while found.valid():
                key = cast(bytes, found.key())  # the wheel's types do not know of its raw mode
                if not key.startswith(under):
                    return
                yield key[cut:], cast(bytes, found.value())
                found.next()
            found.status()

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
        """Write what is still in memory, and close the files. Raises CopyUnfit."""
        with _believed():
            self._db.close()


def remove(path: Path) -> None:
    """Forget a copy that is closed: it is of another log, too old to be brought up to date, or damaged."""
    # Under another name first: what a kill leaves of a half removed copy can never be opened.
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
    """Tell a damaged copy from whatever else may be wrong, such as a full disk. Raises CopyUnfit."""
    try:
        yield
    except msgspec.MsgspecError as error:
        raise CopyUnfit("corrupt", type(error).__name__) from None
    except Exception as error:
        # The wheel has one type for all that RocksDB says, in words.
        if any(sign in str(error) for sign in _DAMAGED):
            raise CopyUnfit("corrupt", str(error)) from None
        raise


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
