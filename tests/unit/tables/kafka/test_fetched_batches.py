"""Fetched batches are unpacked within bounds; one that cannot be is delivered as one stand-in."""

import struct
import tracemalloc
from hashlib import sha256
from typing import Any

import pytest
from aiokafka import codec as codecs
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.structs import TopicPartition

from tally.schemas.bounds import BATCH, BATCH_RECORDS, HEADERS, LETTER_END, MIB
from tally.tables.kafka.fetched_batches import HEAD_BYTES, RECORD_BYTES, Batches, Budget
from tally.tables.kafka.leniently import longest
from tally.tables.kafka.unread import Unread, stands_in
from tests.support.packed import CODECS, batch_of, changed

COMPRESSED = sorted(CODECS.keys() - {"none"})
BOMB_MIB = 64
OVERHEAD_BYTES = len(batch_of([bytes(BATCH.most)])) - HEAD_BYTES - BATCH.most


def handed_out(data: bytes, position: int = 0, budget: Budget | None = None) -> tuple[list[Any], int]:
    """Return what the client hands out of a fetch, and where it goes on."""
    batches = Batches(data)
    if budget is not None:
        batches.budget = budget
    tp = TopicPartition("raw", 0)
    records = PartitionRecords(tp, batches, [], position, None, None, True, 1)
    return list(records), records.next_fetch_offset


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_what_is_within_the_bounds_is_handed_out_as_it_was_published(codec: str) -> None:
    values = [b"%d" % number * 100 for number in range(200)]
    headers = [("pbx", b"one"), ("none", b"")]
    data = batch_of(values, codec, 5, headers) + batch_of([b"next"], codec, 205)

    records, position = handed_out(data)

    assert [record.value for record in records] == [*values, b"next"]
    assert [record.offset for record in records] == list(range(5, 206))
    assert records[1].timestamp == 1_795_000_001_000
    assert (records[0].key, list(records[0].headers)) == (b"key", headers)
    assert position == 206
    assert not any(map(stands_in, records))


@pytest.mark.parametrize("codec", COMPRESSED)
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_batch_is_unpacked_up_to_the_bound_and_not_a_byte_further(codec: str, beyond: int) -> None:
    value = bytes(BATCH.most - OVERHEAD_BYTES + beyond)
    assert len(batch_of([value])) - HEAD_BYTES == BATCH.most + beyond

    (record,), _ = handed_out(batch_of([value], codec))

    assert stands_in(record) == (beyond > 0)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_bomb_is_one_stand_in_with_its_ends_and_digest_and_what_follows_is_read(codec: str) -> None:
    bomb = batch_of([bytes(BOMB_MIB * MIB), b"a good neighbour"], codec, 7)
    data = batch_of([b"before"], "none", 6) + bomb + batch_of([b"after"], codec, 9)
    tracemalloc.start()
    (before, record, after), position = handed_out(data)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (before.value, after.value, position) == (b"before", b"after", 10)
    assert stands_in(record)
    assert peak_bytes < 4 * BATCH.most
    unread = record.checksum
    assert isinstance(unread, Unread)
    assert (unread.offset, unread.timestamp) == (7, 1_795_000_001_000)
    assert unread.bad.where == "too_large at a batch, offsets 7 to 8"
    assert unread.kept.size_bytes == len(bomb)
    if len(bomb) > 2 * LETTER_END.most:
        assert unread.value == bomb[: LETTER_END.most] + bomb[-LETTER_END.most :]
        assert unread.kept.sha256 == sha256(bomb).hexdigest()
    else:
        assert unread.value == bomb


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_as_many_records_as_may_be_come_out_of_a_compressed_batch(beyond: int) -> None:
    records, _ = handed_out(batch_of([b""] * (BATCH_RECORDS.most + beyond), "zstd"))

    assert len(records) == (1 if beyond > 0 else BATCH_RECORDS.most + beyond)
    assert stands_in(records[0]) == (beyond > 0)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_what_is_no_compressed_batch_is_a_stand_in_and_what_follows_is_read(codec: str) -> None:
    good = batch_of([b"a value that is long enough to be compressed" * 9], codec)
    begin = good[HEAD_BYTES : HEAD_BYTES + 4]
    cut = changed(good, begin, bytes(byte ^ 0x5A for byte in begin))

    (record, after), position = handed_out(cut + batch_of([b"after"], "none", 1))

    assert record.checksum.bad.where == "bad_batch at a batch, offset 0"
    assert (after.value, position) == (b"after", 2)


def test_a_codec_that_nobody_knows_is_a_stand_in() -> None:
    batch = bytearray(batch_of([b"value"]))
    batch[22] |= 7

    (record,), _ = handed_out(changed(bytes(batch), b"value", b"other"))

    assert record.checksum.bad.where == "bad_batch at a batch, offset 0"


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_header_whose_name_is_no_text_costs_nobody_anything(codec: str) -> None:
    plain = changed(batch_of([b"one", b"two"], headers=[("name", b"x")]), b"name", b"na\xff\xfe")
    data = plain if codec == "none" else repacked(plain, codec)

    records, _ = handed_out(data)

    assert [(record.offset, record.value) for record in records] == [(0, b"one"), (1, b"two")]
    assert list(records[1].headers) == [("na\ufffd\ufffd", b"x")]
    assert records[1].timestamp == 1_795_000_001_000


def repacked(batch: bytes, codec: str) -> bytes:
    """Return a batch with its records compressed as they are."""
    body: bytes = getattr(codecs, f"{codec}_encode")(batch[HEAD_BYTES:])
    made = bytearray(batch[:HEAD_BYTES] + body)
    made[8:12] = (len(made) - 12).to_bytes(4, "big")
    made[22] |= CODECS[codec]
    return changed(bytes(made), bytes(made[-4:]), bytes(made[-4:]))


@pytest.mark.parametrize("value_bytes", [10, 2 * MIB])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_of_a_record_the_first_headers_are_looked_at(value_bytes: int, beyond: int) -> None:
    headers = [(f"h{number}", b"x") for number in range(HEADERS.most + beyond)]

    records, _ = handed_out(batch_of([b"v" * value_bytes], headers=headers) + batch_of([b"after"], first=1))

    assert list(records[0].headers) == headers[: HEADERS.most]
    assert (len(records[0].value), records[1].value) == (value_bytes, b"after")


def test_a_million_headers_are_not_made_into_objects() -> None:
    batch = batch_of([b""], "zstd", headers=[("", b"")] * 2_000_000)
    tracemalloc.start()
    (record,), _ = handed_out(batch)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(record.headers) == HEADERS.most
    assert peak_bytes < 5 * BATCH.most


def test_one_fetch_unpacks_no_more_than_its_budget_and_the_rest_comes_with_the_next() -> None:
    sizes = [3 * MIB] * 8
    data = b"".join(batch_of([bytes(size)], "gzip", offset) for offset, size in enumerate(sizes))
    budget, offsets, at = Budget(BATCH.most), list[int](), 0
    while at < len(sizes):
        budget.renew()
        rest = b"".join(batch_of([bytes(size)], "gzip", at + nth) for nth, size in enumerate(sizes[at:]))
        records, at = handed_out(rest, at, budget)
        assert sum(len(record.value) + RECORD_BYTES for record in records) <= BATCH.most + 4 * MIB
        assert records
        offsets += [record.offset for record in records]

    assert offsets == list(range(len(sizes)))
    assert len(handed_out(data, 0, Budget(1))[0]) == 1


def test_a_batch_whose_checksum_is_wrong_is_not_read_at_all() -> None:
    batch = bytearray(batch_of([b"value"]))
    batch[-3] ^= 1

    with pytest.raises(Exception, match="Invalid CRC"):
        handed_out(bytes(batch))


def test_a_compressed_batch_of_an_old_format_is_a_stand_in() -> None:
    head = struct.pack(">qiIBB", 4, 40, 0, 1, 1)

    (record, after), position = handed_out(head + bytes(52 - len(head)) + batch_of([b"after"], first=5))

    assert (record.checksum.bad.reason, record.offset) == ("bad_batch", 4)
    assert (after.value, position) == (b"after", 6)


def test_the_longest_record_is_found_by_its_length_alone() -> None:
    batch = memoryview(batch_of([b"1" * 10, b"2" * 5_000, b"3"]))

    assert 5_000 < longest(batch[HEAD_BYTES:], 3) < 5_030
