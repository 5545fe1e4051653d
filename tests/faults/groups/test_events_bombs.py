"""D9: records that are larger once they are unpacked, and records of garbage, beside good ones."""

from collections import Counter
from pathlib import Path

import pytest

from tally.schemas.bounds import LETTER_END, MIB, RECORD
from tally.simulator.poison import send_result
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, as_producers_write
from tests.faults.groups.bombs import CODECS, SIZES_MIB, padded, peak_mib, send_bomb, send_bombs
from tests.faults.groups.letters import kept
from tests.faults.judging import verdict
from tests.faults.oracle import Sender
from tests.faults.stack import stack
from tests.support.judge import simulated

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]

MOST_MIB = 400
WHOLE_RECORD_MIB = 5
"""This one's batch may be unpacked; the record itself is too large."""

PACKED_MIB, PACKED_EACH = 7, 15
PLAIN_EACH = 6
GARBAGE = 8
PLAIN_SPARE_BYTES = 1_000
"""Of what a broker takes; the record's own head needs some."""


async def test_a_record_that_is_larger_once_it_is_unpacked_is_one_dead_letter_and_nothing_else(
    tmp_path: Path,
) -> None:
    good = simulated(591, contacts_per_campaign=20)
    half = len(good) // 2
    value = as_producers_write(send_result())
    bombs: dict[str, tuple[str, int]] = {}
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        worker, topic = whole.workers[0], whole.settings.names.raw(SEND_RESULTS)
        await whole.start()
        await sender.send(good[:half])
        for codec in CODECS:
            for size_mib in SIZES_MIB:
                offset = await send_bomb(whole.settings, SEND_RESULTS, codec, padded(value, size_mib))
                if offset is not None:
                    bombs[f"{topic}/0/{offset}"] = codec, size_mib
        await sender.send(good[half:])
        found = await verdict(whole, worker, sender.sent)
        letters, exits, memory_mib = await kept(whole), whole.exits, peak_mib(worker)

    of_bombs = [letter for letter in letters if letter.origin in bombs]
    assert exits == []
    assert Counter(letter.origin for letter in of_bombs) == Counter(bombs.keys())
    assert {letter.reason for letter in of_bombs} == {"too_large"}
    assert max(len(letter.value) for letter in of_bombs) <= 2 * LETTER_END.most
    whole_records = [one for one in of_bombs if bombs[one.origin][1] == WHOLE_RECORD_MIB]
    assert [letter.size_bytes for letter in whole_records] == [WHOLE_RECORD_MIB * MIB] * len(CODECS)
    # Of 300 MiB Snappy makes more than a batch may have: that one is refused to its producer.
    assert len(bombs) == len(CODECS) * len(SIZES_MIB) - 1
    assert (found.lost, found.doubled, found.differences, found.audit.drift) == (0, 0, [], [])
    # Nobody acknowledged them to the sender; the others no reader takes apart, the recount neither.
    assert (found.arrived.missing, found.arrived.invented) == (0, len(whole_records))
    assert memory_mib < MOST_MIB


async def test_many_large_records_at_once_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    """A backlog of what is just within the bounds: each batch unpacks to 7 MiB, or is 4 MiB as it is."""
    good = simulated(592, contacts_per_campaign=20)
    value = as_producers_write(send_result())
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        worker, partitions = whole.workers[0], range(whole.settings.partitions)
        sent = len(partitions) * PACKED_EACH
        for codec in ("zstd", "gzip"):
            await send_bombs(
                whole.settings, SEND_RESULTS, codec, padded(value, PACKED_MIB), [*partitions] * PACKED_EACH
            )
        almost = padded(b"[" + value, 4)[:-PLAIN_SPARE_BYTES]
        await send_bombs(whole.settings, SEND_RESULTS, None, almost, [*partitions] * PLAIN_EACH)
        await sender.send(good)
        await whole.start()
        found = await verdict(whole, worker, sender.sent)
        letters, exits, memory_mib = await kept(whole), whole.exits, peak_mib(worker)

    reasons = Counter(letter.reason for letter in letters)
    assert exits == []
    assert reasons["too_large"] == 2 * sent
    assert sum(letter.value == almost for letter in letters) == len(partitions) * PLAIN_EACH
    assert (found.lost, found.doubled, found.differences, found.audit.drift) == (0, 0, [], [])
    assert memory_mib < MOST_MIB


@pytest.mark.parametrize("garbage", [b"[", b"{},", b'{"a":['])
async def test_lists_of_garbage_are_a_dead_letter_each_and_never_become_objects_in_memory(
    tmp_path: Path, garbage: bytes
) -> None:
    """Four kilobytes on the wire each; parsed, one of them would be millions of objects."""
    good = simulated(593, contacts_per_campaign=20)
    half = len(good) // 2
    value = b"[" + garbage * ((RECORD.most - PLAIN_SPARE_BYTES) // len(garbage))
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        worker, partitions = whole.workers[0], range(whole.settings.partitions)
        spread = [partitions[index % len(partitions)] for index in range(GARBAGE)]
        await whole.start()
        await sender.send(good[:half])
        sent = {
            f"{whole.settings.names.raw(topic)}/{partition}/{offset}"
            for topic in (WEBHOOK_EVENTS, SEND_RESULTS)
            for partition, offset in await send_bombs(whole.settings, topic, "gzip", value, spread)
        }
        await sender.send(good[half:])
        found = await verdict(whole, worker, sender.sent)
        letters, exits, memory_mib = await kept(whole), whole.exits, peak_mib(worker)

    of_garbage = [letter for letter in letters if letter.origin in sent]
    assert exits == []
    assert Counter(letter.origin for letter in of_garbage) == Counter(sent)
    assert {letter.reason for letter in of_garbage} == {"too_many_parts"}
    assert (found.lost, found.doubled, found.differences, found.audit.drift) == (0, 0, [], [])
    assert (found.arrived.missing, found.arrived.invented) == (0, len(sent))
    assert memory_mib < MOST_MIB
