"""No turn of the event loop is long: the largest step of a fold's batch, by CPU, whatever the batch holds."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tally.agents.fold.batch import fold_steps
from tally.schemas.facts import Claim, CustomerSeen, Inbound, Send
from tally.schemas.records import Keyed, KeyedFact
from tally.tables.families.customer.family import CustomerFamily
from tally.tables.families.family import ConnectedFamily, Family, Resyncable
from tally.tables.rules import Rules
from tests.support.cpu import largest_step
from tests.support.large import AT_MS, AT_S, PROMO, Shape, every_shape
from tests.support.partition import MemoryPartition, record

BATCH_FACTS = 5_000
MOST_SECONDS = 0.05
CUSTOMERS = CustomerFamily()
DESCRIPTIONS = "descriptions"
"""Of campaigns, whose key is (tenant, campaign)."""
Facts = Callable[[Family[Any, Any], Shape], list[Keyed]]


def about_one(family: Family[Any, Any], shape: Shape) -> list[Keyed]:
    """Return facts that all say more of one subject."""
    return [KeyedFact(family.code, _key(family, 1), shape.fact(nth)) for nth in range(BATCH_FACTS)]


def about_many(family: Family[Any, Any], shape: Shape) -> list[Keyed]:
    """Return facts of as many subjects."""
    return [KeyedFact(family.code, _key(family, nth), shape.fact(0)) for nth in range(BATCH_FACTS)]


def _key(family: Family[Any, Any], nth: int) -> bytes:
    """Return a key as route makes it: of what facts name by themselves, a business number or a PBX."""
    if isinstance(family, ConnectedFamily | Resyncable):
        return b"%d" % nth
    return (b"%d/a" if family.table == DESCRIPTIONS else b"%d/a/b") % nth


@every_shape
@pytest.mark.parametrize("facts", [about_one, about_many])
def test_no_step_of_a_batch_takes_a_long_turn(family: Family[Any, Any], shape: Shape, facts: Facts) -> None:
    batch = facts(family, shape)
    partition = MemoryPartition()
    partition.fold(batch[::2], Rules())
    records = [record(partition.next_offset + nth, keyed) for nth, keyed in enumerate(batch)]

    assert largest_step(lambda: fold_steps(records, partition, Rules()), MOST_SECONDS) <= MOST_SECONDS


def link(nth: int) -> CustomerSeen:
    """Return a link of a chain of phones and user ids: one customer, until it is too large."""
    return CustomerSeen([b"u%012d" % (nth // 2), b"p%012d" % (nth // 2 + nth % 2)])


def campaign_and_reply(nth: int) -> CustomerSeen:
    """Return a link of a chain of phones by their messages, each of a campaign of its own and replied to."""
    message = b"%012d" % (nth // 2)
    claim = Claim(AT_MS + nth // 2, "t1", f"c{nth // 2}", "8", "1", PROMO)
    names = [b"w" + message, b"p%012d" % (nth // 400 + nth % 2)]
    return CustomerSeen(names, Send(message, claim), Inbound(message, AT_S + nth // 2))


@pytest.mark.parametrize("shape", [link, campaign_and_reply])
def test_no_step_of_parting_the_largest_customer_takes_a_long_turn(
    shape: Callable[[int], CustomerSeen],
) -> None:
    partition, nth, largest = MemoryPartition(), 0, 0
    while True:
        batch = [KeyedFact(CUSTOMERS.code, b"1", shape(nth + more)) for more in range(BATCH_FACTS // 25)]
        records = [record(partition.next_offset + more, keyed) for more, keyed in enumerate(batch)]
        if largest > 0.9 * CUSTOMERS.most.state_bytes:
            steps = partial(fold_steps, records, partition, Rules())
            assert largest_step(steps, MOST_SECONDS) <= MOST_SECONDS
        partition.fold(batch, Rules())
        nth += len(batch)
        before, largest = largest, max(map(len, partition.tables[CUSTOMERS.table].values()))
        if largest < before:
            return
