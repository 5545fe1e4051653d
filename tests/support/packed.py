"""Record batches as brokers deliver them, compressed or not."""

from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
CRC_AT, CHECKED_AT = 17, 21

Header = tuple[str, bytes]


def batch_of(
    values: Sequence[bytes], codec: str = "none", first: int = 0, headers: Sequence[Header] = ()
) -> bytes:
    """Return one batch of records with timestamps one second apart."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], False, -1, -1, -1, 1 << 30)
    for offset, value in enumerate(values):
        builder.append(offset, 1_795_000_000_000 + 1_000 * offset, b"key", value, list(headers))
    batch = bytearray(builder.build())
    batch[:8] = first.to_bytes(8, "big")
    return bytes(batch)


def changed(batch: bytes, before: bytes, after: bytes) -> bytes:
    """Return a batch with `before` replaced by `after` and a matching checksum."""
    assert before in batch
    assert len(before) == len(after)
    made = bytearray(batch.replace(before, after))
    made[CRC_AT:CHECKED_AT] = calc_crc32c(bytes(made[CHECKED_AT:])).to_bytes(4, "big")
    return bytes(made)
