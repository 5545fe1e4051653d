"""D6 and D7: poison beside good events, one for one, and nothing but poison for a while."""

import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import chain, cycle, islice
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic

import pytest

from tally.schemas.errors import REASONS
from tally.simulator.poison import small_poisons
from tally.simulator.records import RawRecord
from tests.faults.events import deliverable_poisons, record_of
from tests.faults.groups.letters import as_kept, kept, unreadable
from tests.faults.groups.orders import renamed
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import read
from tests.faults.stack import Stack, stack
from tests.support.judge import simulated

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]

THROUGHPUT = 0.8
"""Good events a second with as much poison among them, beside good events alone, offered at a steady rate."""
BACKLOG_THROUGHPUT = 0.5
"""The same where a worker has all that it can do: reading poison costs it something as well."""
GOOD_PER_SECOND = 500
ROUNDS = 3
CONTACTS = 30
PAUSE_SECONDS = 60
DEADLINE_SECONDS = 60.0
POISON_SECONDS = 20.0
POISON_PER_SECOND = 300


async def test_as_much_poison_as_good_events_leaves_them_four_fifths_of_their_throughput(
    tmp_path: Path,
) -> None:
    # A worker that is stopped while its backlog grows has to stay a member of its group.
    patient = stack(tmp_path, ("a",), session_timeout_seconds=str(PAUSE_SECONDS))
    async with patient as whole, Sender(whole.settings) as sender:
        await whole.start()
        # Every kind once; those of 200 kB would else be nearly all there is to read.
        await sender.send([record_of(poison) for poison in deliverable_poisons()])
        await whole.counted(whole.workers[0], DEADLINE_SECONDS)
        offered = [await _pair(whole, sender, 2 * nth, _offered) for nth in range(ROUNDS)]
        backlog = [await _pair(whole, sender, 2 * nth, _drained) for nth in range(ROUNDS, 2 * ROUNDS)]
        await assert_exact(whole, whole.workers[0], sender.sent)
        letters = await kept(whole)
        exits = whole.exits

    assert exits == []
    assert as_kept(letters) == unreadable(one.record for one in sender.sent)
    assert {letter.reason for letter in letters} <= set(REASONS)
    assert median(offered) >= THROUGHPUT, offered
    assert median(backlog) >= BACKLOG_THROUGHPUT, backlog


Timed = Callable[[Stack, Sender, list[RawRecord], float], Awaitable[float]]


async def _pair(whole: Stack, sender: Sender, copy: int, timed: Timed) -> float:
    """Return the throughput of good events with poison among them as a share of that without."""
    good, small = simulated(561, CONTACTS), [record_of(poison) for poison in small_poisons()]
    poisons = islice(cycle(Random(copy).sample(small, len(small))), len(good))
    beside = list(chain.from_iterable(zip(renamed(good, copy + 1), poisons, strict=True)))
    clean_seconds = await timed(whole, sender, renamed(good, copy), GOOD_PER_SECOND)
    return clean_seconds / await timed(whole, sender, beside, 2 * GOOD_PER_SECOND)


async def _offered(whole: Stack, sender: Sender, records: list[RawRecord], per_second: float) -> float:
    """Send at a steady rate; return how long it takes until all is counted."""
    began = monotonic()
    await sender.send(records, per_second)
    await whole.counted(whole.workers[0], DEADLINE_SECONDS)
    return monotonic() - began


async def _drained(whole: Stack, sender: Sender, records: list[RawRecord], _: float) -> float:
    """Let a worker find a backlog; return how long it takes until all is counted."""
    worker = whole.workers[0]
    worker.signal(signal.SIGSTOP)
    await sender.send(records)
    worker.signal(signal.SIGCONT)
    return await whole.counted(worker, DEADLINE_SECONDS)


async def test_nothing_but_poison_is_kept_record_for_record_and_what_follows_counts(tmp_path: Path) -> None:
    """Tally has no limit at which it would stop: it keeps them all, and goes on."""
    count = round(POISON_SECONDS * POISON_PER_SECOND)
    poisons = [record_of(poison) for poison in islice(cycle(small_poisons()), count)]
    good = simulated(571, contacts_per_campaign=10)
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        await whole.start()
        await sender.send(poisons, POISON_PER_SECOND)
        await whole.counted(whole.workers[0], DEADLINE_SECONDS)
        during = await read(whole.workers[0])
        letters = await kept(whole)
        await sender.send(good)
        await assert_exact(whole, whole.workers[0], sender.sent)
        after = await read(whole.workers[0])
        exits = whole.exits

    assert as_kept(letters) == unreadable(poisons)
    assert len(letters) == count
    assert during.value("tally_dead_letters_total") == count
    assert Counter(letter.origin for letter in letters).most_common(1)[0][1] == 1
    assert after.value("tally_lag_records") == 0
    assert exits == []
