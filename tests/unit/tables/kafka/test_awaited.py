"""Of a log that is read for one key alone, only records that end a batch are made."""

from typing import Any

from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.rows import PROGRESS_KEY
from tally.tables.kafka.awaited import only
from tally.tables.kafka.fetched_batches import Batches

KEYS = st.sampled_from([b"m1", PROGRESS_KEY, PROGRESS_KEY + b"x", b"x" + PROGRESS_KEY])
VALUES = st.one_of(st.none(), st.binary(max_size=300), st.just(PROGRESS_KEY * 3))
BATCHES = st.lists(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=5), min_size=1, max_size=4)


def batch(base: int, records: list[tuple[bytes, bytes | None]], codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=1,
        producer_id=1,
        producer_epoch=1,
        base_sequence=0,
        batch_size=1 << 20,
    )
    for number, (key, value) in enumerate(records):
        builder.append(number, 1_795_000_000_000 + number, key, value, [])
    data = bytearray(builder.build())
    data[:8] = base.to_bytes(8, "big")
    return bytes(data)


def read(data: bytes) -> tuple[list[Any], int]:
    records = PartitionRecords(TopicPartition("states", 0), Batches(data), [], 0, None, None, True, 1)
    return [(one.offset, one.timestamp, one.key, one.value) for one in records], records.next_fetch_offset


@given(batches=BATCHES, codec=st.sampled_from([0, 1]))
def test_what_is_read_is_the_last_record_of_each_batch_where_it_has_the_key(
    batches: list[list[tuple[bytes, bytes | None]]], codec: int
) -> None:
    data, base, ends = b"", 0, []
    for records in batches:
        data += batch(base, records, codec)
        base += len(records)
        ends.append(base - 1)
    everything, position = read(data)
    with only(PROGRESS_KEY):
        awaited, passed = read(data)
    assert awaited == [one for one in everything if one[0] in ends and one[2] == PROGRESS_KEY]
    assert passed == position
    assert read(data) == (everything, position)
