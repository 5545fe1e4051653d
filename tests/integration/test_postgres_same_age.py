"""Shares by age from rows and cells in Postgres are those of the messages, counted one by one."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

import asyncpg
import orjson
import pytest

from tally.deploy import migrate
from tally.tables.durations import AGES, bucket
from tally.tables.postgres.same_age import MOST_EARLIER, Age, ages, query

pytestmark = pytest.mark.asyncio

QUARTER = 900
AS_OF_S = 1_795_350_907
"""Within a quarter hour."""
TENANT = "t1"


class Sent(NamedTuple):
    """A message: when it was accepted, and after how many seconds it was delivered and read."""

    campaign: str
    at_s: int
    delivered_s: int | None
    read_s: int | None


def messages(seed: int) -> list[Sent]:
    """Return messages of campaigns, old and young, with delays at, right before and right after each age."""
    random, made = Random(seed), []
    delays = [age + off for age in AGES for off in (-1, 0, 1)] + [0, 7, 10**7, -3]
    for nth in range(MOST_EARLIER + 5):
        begins_s = AS_OF_S - random.choice([60, 4_000, 90_000, 700_000, 9_000_000]) - nth
        for _ in range(random.randint(1, 25)):
            at_s = random.randint(begins_s, min(begins_s + 40_000, AS_OF_S))
            made.append(Sent(f"c{nth}", at_s, _one_of(random, delays), _one_of(random, delays)))
    return made


def _one_of(random: Random, delays: list[int]) -> int | None:
    return random.choice(delays) if random.random() < 0.8 else None


def by_hand(sent: list[Sent], campaign: str) -> dict[str, list[Age]]:
    """Count each message of a campaign, and of the last ones that began before it."""
    begins = {
        one: min(each.at_s // QUARTER for each in sent if each.campaign == one)
        for one in {each.campaign for each in sent}
    }
    before = sorted(
        (begin, one) for one, begin in begins.items() if (begin, one) < (begins[campaign], campaign)
    )
    found = {one: [Age() for _ in AGES] for one in [campaign, *(name for _, name in before[-MOST_EARLIER:])]}
    for each in sent:
        if each.campaign not in found:
            continue
        for age, seconds in zip(found[each.campaign], AGES, strict=True):
            if each.at_s // QUARTER * QUARTER + QUARTER + seconds > AS_OF_S:
                continue
            age.accepted += 1
            age.delivered += each.delivered_s is not None and each.delivered_s <= seconds
            age.read += each.read_s is not None and each.read_s <= seconds
    return found


async def store(postgres: asyncpg.Connection, sent: list[Sent]) -> None:
    """Write rows, cells and sums as the sink does, over two partitions and two markets."""
    cells: defaultdict[tuple[str, int, str, int], list[Sent]] = defaultdict(list)
    for nth, one in enumerate(sent):
        cells[one.campaign, one.at_s // QUARTER, "ES" if nth % 3 else "BR", nth % 2].append(one)
    for (campaign, quarter, market, partition), its in cells.items():
        at = datetime.fromtimestamp(quarter * QUARTER, UTC)
        await postgres.execute(
            "INSERT INTO tally.cells (generation, tenant, campaign, quarter, template_name,"
            " template_language, grain, number, market, partition, accepted, time_to_deliver, time_to_read)"
            " VALUES (1, $1, $2, $3, 'promo', 'en', 'template', '', $4, $5, $6, $7, $8)",
            *(TENANT, campaign, at, market, partition, len(its), *_times(its)),
        )
        await postgres.execute(
            "INSERT INTO tally.cell_sums (generation, tenant, campaign, quarter, partition, accepted)"
            " VALUES (1, $1, $2, $3, $4, $5)"
            " ON CONFLICT (generation, tenant, campaign, quarter, partition)"
            " DO UPDATE SET accepted = cell_sums.accepted + excluded.accepted",
            *(TENANT, campaign, at, partition, len(its)),
        )
    for campaign, partition in {(campaign, partition) for campaign, _, _, partition in cells}:
        its = [
            one for (of, _, _, at), some in cells.items() if (of, at) == (campaign, partition) for one in some
        ]
        await postgres.execute(
            "INSERT INTO tally.counters (generation, tenant, campaign, template_name, template_language,"
            " grain, partition, next_offset, first_ms, last_ms, accepted, time_to_deliver, time_to_read)"
            " VALUES (1, $1, $2, 'promo', 'en', 'template', $3, 0, 0, 0, $4, $5, $6)",
            *(TENANT, campaign, partition, len(its), *_times(its)),
        )


def _times(its: list[Sent]) -> tuple[str | None, str | None]:
    delivered = Counter(bucket(one.delivered_s) for one in its if one.delivered_s is not None)
    read = Counter(bucket(one.read_s) for one in its if one.read_s is not None)
    return orjson.dumps(delivered).decode(), orjson.dumps(read).decode()


@pytest.mark.parametrize("seed", range(3))
async def test_every_age_counts_the_messages_that_are_old_enough_and_came_so_far_within_it(
    database: str, seed: int
) -> None:
    migrate.up(database)
    sent = messages(seed)
    postgres = await asyncpg.connect(database)
    try:
        async with postgres.transaction():
            await store(postgres, sent)
            for campaign in sorted({one.campaign for one in sent}):
                wanted = query(TENANT, campaign, AS_OF_S * 1000 + 900)
                found = ages(await postgres.fetch(wanted.sql, 1, *wanted.arguments))
                assert found == by_hand(sent, campaign)
            (nobody,) = [query(TENANT, "nobody", AS_OF_S * 1000)]
            assert ages(await postgres.fetch(nobody.sql, 1, *nobody.arguments)) == {}
    finally:
        await postgres.close()
