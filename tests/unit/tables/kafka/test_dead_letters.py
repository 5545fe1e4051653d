"""A dead letter is bounded whatever its record holds, and is always small enough to be written."""

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from tally.schemas.bounds import LETTER_END, LETTER_KEY, MIB, RECORD
from tally.schemas.errors import Bad
from tally.schemas.records import Routed
from tally.schemas.topics import DEAD_LETTER_LIMIT_BYTES
from tally.streams.operations.dead_letters import letter_of
from tally.tables.kafka import clients
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.dead_letters import (
    DETAILED_PARTS,
    MAX_DETAIL,
    OWN_BYTES,
    SIZES,
    DeadLetter,
    DeadLetters,
    detail_of,
    headers_of,
)
from tally.tables.kafka.unread import unread

AT_MS = 1_795_000_000_000


@dataclass(frozen=True)
class Record:
    value: bytes | None
    key: bytes | None = None
    offset: int = 7
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def letter(value: bytes | None, key: bytes | None = None, detail: str = "") -> DeadLetter:
    return DeadLetter("raw", 3, Record(value, key), "too_large", detail)


class Batch:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, *, key: Any, value: bytes, headers: Any, **_: None) -> object:
        self.records.append(Record(value, key, headers=headers))
        return self

    def record_count(self) -> int:
        return len(self.records)

    @property
    def size_bytes(self) -> int:
        return sum(len(one.value or b"") + len(one.key or b"") for one in self.records)


class Producer:
    """Takes batches up to a size, and keeps those that it has taken."""

    def __init__(self, **_: Any) -> None:
        self.most_bytes = DEAD_LETTER_LIMIT_BYTES
        self.error: Exception = MessageSizeTooLargeError()
        self.tried = 0
        self.taken: list[Record] = []

    async def start(self) -> None: ...

    async def partitions_for(self, _: str) -> set[int]:
        return {0}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, _topic: str, **_: int) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tried += 1
        if batch.size_bytes > self.most_bytes:
            future.set_exception(self.error)
        else:
            self.taken += batch.records
            future.set_result(None)
        return future


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> Producer:
    made = Producer()
    monkeypatch.setattr(clients, "AIOKafkaProducer", lambda **_: made)
    return made


async def keep(*letters: DeadLetter) -> None:
    keeping = DeadLetters(KafkaClients(()), "dead-letters", lambda: AT_MS)
    await keeping.start()
    await keeping.write(letters)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_value_is_kept_whole_up_to_the_bound_and_its_ends_beyond_it(beyond: int) -> None:
    value = b"<" + bytes(RECORD.most + beyond - 2) + b">"

    found = letter(value).kept(SIZES[0])

    assert found.size_bytes == len(value)
    if beyond <= 0:
        assert (found.data, found.sha256) == (value, "")
    else:
        assert found.data == value[: LETTER_END.most] + value[-LETTER_END.most :]
        assert found.sha256 == sha256(value).hexdigest()


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_of_a_key_the_first_bytes_are_kept(beyond: int) -> None:
    key = bytes(LETTER_KEY.most + beyond)

    assert letter(b"", key).key == key[: LETTER_KEY.most]


def test_a_letter_of_a_hundred_megabytes_in_every_place_is_a_small_one() -> None:
    huge = letter(bytes(100 * MIB), bytes(100 * MIB), "\ud800" * MIB)
    found = huge.kept(SIZES[0])
    headers = headers_of(huge, found, AT_MS)

    size = (
        len(found.data) + len(huge.key or b"") + sum(len(name) + len(value or b"") for name, value in headers)
    )
    assert size < MIB < DEAD_LETTER_LIMIT_BYTES


def test_a_letter_keeps_the_records_own_headers_or_says_that_it_does_not() -> None:
    own: list[tuple[str, bytes | None]] = [("pbx", b"p1"), ("reason", b"theirs"), ("tenant", None)]
    small = letter(b"")._replace(headers=own)
    large = small._replace(headers=[*own, ("x", bytes(OWN_BYTES))])

    kept, lost = (
        letter_of(Record(b"", headers=headers_of(one, one.kept(SIZES[0]), AT_MS))) for one in (small, large)
    )

    assert kept is not None
    assert lost is not None
    assert (kept.headers, kept.is_whole, kept.reason) == (tuple(own), True, "too_large")
    assert (lost.headers, lost.is_whole) == ((), False)


def test_a_detail_names_the_first_bad_parts_and_counts_the_rest() -> None:
    routed = Routed()
    for number in range(200_000):
        routed.refuse(Bad("bad_id", "", "text"), "$.statuses", number)

    detail = detail_of(routed)

    assert detail.startswith("bad_id at $.statuses[0] (expected: text); ")
    assert detail.endswith(f"; and {200_000 - DETAILED_PARTS} more")
    assert len(detail) < MAX_DETAIL


def test_of_a_batch_that_was_not_taken_apart_size_and_digest_stay_those_of_all_bytes() -> None:
    packed = bytes(range(256)) * 1_000
    record = unread(memoryview(packed), 7, AT_MS, Bad("too_large", "a batch, offset 7", "less"))

    for size in SIZES:
        found = DeadLetter("raw", 3, record, "too_large", str(record.bad)).kept(size)
        assert (found.size_bytes, found.sha256) == (len(packed), sha256(packed).hexdigest())
        assert len(found.data) <= 2 * size.end_bytes


@pytest.mark.asyncio
@pytest.mark.parametrize("most_bytes", [5 * MIB, 1_000_000, 100_000, 5_000, 0])
async def test_what_a_broker_refuses_for_its_size_is_written_smaller(
    producer: Producer, most_bytes: int
) -> None:
    producer.most_bytes = most_bytes
    value = b"v" * (2 * MIB)

    await keep(letter(value), letter(b"" if most_bytes == 0 else b"small"))

    assert len(producer.taken) == 2
    (read,) = (found for one in producer.taken if (found := letter_of(one)) and found.size_bytes > MIB)
    assert (read.origin, read.size_bytes) == ("raw/3/7", len(value))
    assert len(read.value) <= most_bytes
    assert read.sha256 == ("" if most_bytes > len(value) else sha256(value).hexdigest())


@pytest.mark.asyncio
async def test_where_not_even_the_smallest_is_taken_it_says_so_and_does_not_try_for_ever(
    producer: Producer,
) -> None:
    producer.most_bytes = -1

    with pytest.raises(MessageSizeTooLargeError):
        await keep(letter(b"value"))

    assert producer.tried == 1 + len(SIZES)


@pytest.mark.asyncio
async def test_any_other_error_is_no_reason_to_write_less(producer: Producer) -> None:
    producer.most_bytes, producer.error = -1, KafkaConnectionError()

    with pytest.raises(KafkaConnectionError):
        await keep(letter(b"value"))

    assert producer.tried == 1


ORIGIN = [("topic", b"raw"), ("partition", b"3"), ("offset", b"7"), ("at", b"1795000000000")]
FOREIGN: dict[str, list[tuple[str, bytes | None]]] = {
    "no headers": [],
    "no origin": [("reason", b"not_json"), ("detail", b"")],
    "a reason of no list": [("reason", b"\x1b]52;c;aGVsbG8=\x07"), ("detail", b""), *ORIGIN],
    "an offset that is none": [("reason", b"not_json"), ("detail", b""), *ORIGIN, ("offset", b"seven")],
    "a time that is none": [("reason", b"not_json"), ("detail", b""), *ORIGIN, ("at", b"-1")],
    "a header without a value": [("reason", None), ("detail", b""), *ORIGIN],
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_record_that_is_no_dead_letter_is_none(kind: str) -> None:
    assert letter_of(Record(b"hello", headers=FOREIGN[kind])) is None


def test_a_tombstone_is_none_either_and_a_detail_may_be_any_bytes() -> None:
    assert letter_of(Record(None)) is None
    found = letter_of(Record(None, headers=[("reason", b"not_json"), ("detail", b"\xff"), *ORIGIN]))
    assert found is not None
    assert (found.origin, found.value, found.detail) == ("raw/3/7", b"", "\ufffd")
