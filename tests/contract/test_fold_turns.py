"""No turn of the event loop is long: the largest step of a fold's batch, by CPU, whatever the batch holds."""

from collections.abc import Callable
from typing import Any

import pytest

from tally.agents.fold.batch import fold_steps
from tally.schemas.keyed import Keyed, KeyedFact
from tally.tables.families.family import Family
from tally.tables.rules import Rules
from tests.support.cpu import largest_step
from tests.support.large import Shape, every_shape
from tests.support.partition import MemoryPartition, record

BATCH_FACTS = 5_000
MOST_SECONDS = 0.05
Facts = Callable[[Family[Any, Any], Shape], list[Keyed]]


def about_one(family: Family[Any, Any], shape: Shape) -> list[Keyed]:
    """Return facts that all say more of one subject."""
    return [KeyedFact(family.code, b"1/a/b", shape.fact(nth)) for nth in range(BATCH_FACTS)]


def about_many(family: Family[Any, Any], shape: Shape) -> list[Keyed]:
    """Return facts of as many subjects."""
    return [KeyedFact(family.code, b"%d/a/b" % nth, shape.fact(0)) for nth in range(BATCH_FACTS)]


@every_shape
@pytest.mark.parametrize("facts", [about_one, about_many])
def test_no_step_of_a_batch_takes_a_long_turn(family: Family[Any, Any], shape: Shape, facts: Facts) -> None:
    batch = facts(family, shape)
    partition = MemoryPartition()
    partition.fold(batch[::2], Rules())
    records = [record(partition.next_offset + nth, keyed) for nth, keyed in enumerate(batch)]

    assert largest_step(lambda: fold_steps(records, partition, Rules()), MOST_SECONDS) <= MOST_SECONDS
