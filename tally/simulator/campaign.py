"""Whole campaigns as raw records, reproducible by seed: the simulator's main entry point."""

from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import TypeVar

from tally.simulator.batching import posts
from tally.simulator.journeys import Script
from tally.simulator.noise import noise
from tally.simulator.poison import small_poisons
from tally.simulator.population import CAMPAIGN_EVERY_S, DAY_S, Size, Tenant, tenant
from tally.simulator.records import (
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    Json,
    RawRecord,
    Timed,
    as_meta_writes,
    as_producers_write,
)

T = TypeVar("T")
LASTS_S = 45 * DAY_S
"""The longest time from a campaign's start to its last event."""


def past_start_s(now_s: int, size: Size) -> int:
    """Return the latest start with which no event lies in the future, since route refuses future times."""
    return now_s - (size.campaigns_per_tenant * CAMPAIGN_EVERY_S + LASTS_S)


def campaign(rng: Random, start_s: int, size: Size | None = None) -> list[RawRecord]:
    """Return raw records of several tenants' campaigns in order of arrival, with duplicates and bad ones.

    `start_s` is the unix second at which the first campaign starts. The last event is at most `LASTS_S` after
    the last campaign's start. Unless `size` limits how late a record may be, records are shuffled: statuses
    come before their send results as often as after them.
    """
    size = size or Size()
    timed: list[tuple[int, RawRecord]] = []
    for nth in range(size.tenants):
        timed += _tenant_records(rng, tenant(rng, nth, start_s, size), size)
    poisons = small_poisons()
    for _ in range(int(len(timed) * size.bad_share)):
        poison = rng.choice(poisons)
        timed.append((rng.choice(timed)[0], RawRecord(poison.topic, None, poison.value)))
    timed += [one for one in timed if rng.random() < size.duplicate_share]
    return _in_order_of_arrival(rng, timed, size)


def _in_order_of_arrival(rng: Random, timed: list[tuple[int, T]], size: Size) -> list[T]:
    if size.late_at_most_s is None:
        rng.shuffle(timed)
        return [one for _, one in timed]
    arrivals = [(at_s + rng.uniform(0, size.late_at_most_s), nth) for nth, (at_s, _) in enumerate(timed)]
    return [timed[nth][1] for _, nth in sorted(arrivals)]


def _tenant_records(rng: Random, whose: Tenant, size: Size) -> Iterator[tuple[int, RawRecord]]:
    script = Script(rng)
    for one in whose.campaigns:
        for contact, person in one.recipients:
            script.play_contact(one, contact, person)
    script.play_conflicts(whose)
    script.play_strange(whose)
    script.play_service(whose, len(script.sent) // 10)
    updates: list[Timed] = script.updates
    idle = noise(rng, whose.numbers, 1 + len(script.sent) // 200)
    updates += [(rng.choice(script.results)[0], body) for body in idle]
    updates += [deepcopy(one) for one in updates if rng.random() < 0.03]  # once more, in another POST
    ordered = _in_order_of_arrival(rng, [(one[0], one) for one in updates], size)
    for at_s, body in posts(rng, ordered, size.bad_share):
        yield at_s, webhook(rng, whose, body)
    for at_s, result in script.results:
        yield at_s, send_result(rng, result)


def _key(rng: Random, meaningful: str) -> bytes | None:
    return rng.choice([None, meaningful.encode(), rng.randbytes(4)])


def webhook(rng: Random, whose: Tenant, body: Json) -> RawRecord:
    """Return the record of one POST body, as a tenant's receiver publishes it."""
    headers: tuple[tuple[str, bytes], ...] = ()
    if rng.random() < 0.5:
        headers = (("tenant", str(whose.tenant).encode()), ("signature", b"sha256=00"))
    return RawRecord(WEBHOOK_EVENTS, _key(rng, body["entry"][0]["id"]), as_meta_writes(body), headers)


def send_result(rng: Random, result: Json) -> RawRecord:
    """Return the record of one send result."""
    key = _key(rng, str(result["contact"]["id"]))
    return RawRecord(SEND_RESULTS, key, as_producers_write(result))
