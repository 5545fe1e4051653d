"""D1 to D3: events that come again, contradict each other, come in any order, and come late."""

import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tally.oracle.api import Answers
from tally.simulator.campaign import past_start_s
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import WEBHOOK_EVENTS, RawRecord, as_meta_writes
from tests.faults.events import WINDOW, bundles, contradictions, duplicates, shuffled
from tests.faults.groups.letters import as_kept, kept, unreadable
from tests.faults.groups.orders import renamed, tenants
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.parts import DAY_S, Part, parts_of
from tests.faults.stack import stack
from tests.support.judge import simulated
from tests.support.keys import answers_of
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

START_S = 1_795_350_000
DUPLICATE_SHARE = 0.1
CONFLICT_SHARE = 0.01
BUNDLES = 50
SEEDS = (521, 522)
LATE_DAYS = 37
COUNTED_SECONDS = 60.0


def parts(records: list[RawRecord]) -> list[Part]:
    return [part for place, record in enumerate(records) for part in parts_of(place, record)]


async def test_duplicates_conflicting_copies_and_bundles_anew_change_no_number_and_are_no_dead_letters(
    tmp_path: Path,
) -> None:
    rng, records = Random(511), simulated(511)
    told = parts(records)
    again = [record for _, record in duplicates(rng, records, DUPLICATE_SHARE)]
    conflicts = [r for _, r in contradictions(rng, told, int(len(records) * CONFLICT_SHARE))]
    statuses = [part for part in told if part.kind == "statuses"]
    bundled = [record for _, record in bundles(rng, statuses, BUNDLES)]
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        await whole.start()
        await sender.send(shuffled(rng, [*records, *again, *conflicts, *bundled], len(records)))
        await assert_exact(whole, whole.workers[0], sender.sent)
        letters = as_kept(await kept(whole))

    assert len(again) > 0.9 * DUPLICATE_SHARE * len(records)
    assert len(conflicts) >= int(CONFLICT_SHARE * len(records))
    assert letters == unreadable([*records, *again])


async def test_sorted_shuffled_in_a_window_and_wholly_shuffled_events_give_the_same_counters(
    tmp_path: Path,
) -> None:
    """For 100 seeds and more the laws of merging hold it: tests/contract/test_families.py."""
    orders = [(seed, window) for seed in SEEDS for window in (0, WINDOW, None)]
    sent = [renamed(in_order(seed, window), nth) for nth, (seed, window) in enumerate(orders)]
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        await whole.start()
        for records in sent:
            await sender.send(records)
        await assert_exact(whole, whole.workers[0], sender.sent)
        async with answers_of(whole.workers[0]) as answers:
            found = [[await totals(answers, tenant) for tenant in tenants(nth)] for nth in range(len(orders))]

    for first in range(0, len(orders), 3):
        assert any(campaign.get("delivered") for tenant in found[first] for campaign in tenant.values())
        assert found[first] == found[first + 1] == found[first + 2]
    assert found[0] != found[3]


def in_order(seed: int, window: int | None) -> list[RawRecord]:
    """Return events in the order of their times, somewhat out of it, or in none."""
    rng = Random(seed)
    records = mixed(rng, START_S, Size(contacts_per_campaign=20, calls_per_campaign=8, late_at_most_s=0))
    return records if window == 0 else shuffled(rng, records, window or len(records))


async def totals(answers: Answers, tenant: str) -> dict[str, Any]:
    """Return the totals of a tenant's campaigns by name."""
    return {listed["campaign"]: listed["totals"] for listed in await answers.campaigns(tenant)}


async def test_statuses_that_come_after_everything_else_even_37_days_later_all_count(tmp_path: Path) -> None:
    size = Size(contacts_per_campaign=40, calls_per_campaign=10)
    records = mixed(Random(531), past_start_s(int(time.time()) - LATE_DAYS * DAY_S, size), size)
    late = [nth for nth, one in enumerate(records) if any(p.kind == "statuses" for p in parts([one]))]
    early = [record for nth, record in enumerate(records) if nth not in set(late)]
    told = [part for part in parts([records[nth] for nth in late]) if part.kind == "statuses"]
    news = [read_after(part, LATE_DAYS) for part in told]
    # A status that was poison is poison 37 days later as well.
    much_later = [one for one in news if not unreadable([one])]
    delivered, letters = [], []
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        await whole.start()
        for slice_ in (
            early,
            [records[nth] for nth in late],
            much_later,
        ):
            await sender.send(slice_)
            await whole.counted(whole.workers[0], COUNTED_SECONDS)
            delivered.append(await total(whole.workers[0], "delivered"))
            letters.append(len(await kept(whole)))
        await assert_exact(whole, whole.workers[0], sender.sent)
        failed = await total(whole.workers[0], "failed_after_send")

    assert delivered[0] == 0 < delivered[1] < delivered[2]
    assert failed == 0, "a message that was read late has not failed"
    assert letters[2] == letters[1], "late is no reason to give up an event"


def read_after(part: Part, days: int) -> RawRecord:
    """Return the news that a message was read so many days after what was known of it."""
    at_s = int(part.item["timestamp"]) + days * DAY_S
    body = part.body(status="read", timestamp=str(at_s), errors=None, pricing=None)
    return RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(body))


async def total(worker: WorkerProcess, counter: str) -> int:
    """Return a counter over all campaigns of all tenants."""
    async with answers_of(worker) as answers:
        of_all = [await totals(answers, tenant) for tenant in ("tenant-0", "tenant-1")]
    return sum(campaign.get(counter, 0) for of_tenant in of_all for campaign in of_tenant.values())
