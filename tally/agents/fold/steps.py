"""A batch in steps, and how much one transaction may hold. Pure.

A batch is computed in steps of a subject each, so that whoever drives them can let others have their turn.
Only sizes decide how a batch is split, never a clock: it is split in the same way on every machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from msgspec import Struct

from tally.tables.families.family import F, Family, S
from tally.tables.pieces import Steps

T = TypeVar("T")

FACTS_AT_ONCE = 500
"""Facts that are decoded, or merged into one state, in one step."""
STEP_BYTES = 16 << 10
"""States that are encoded, or counted, in one step; one that is larger has steps of its own."""
AT_ONCE = 64
"""Subjects whose states are read together: each may be up to a megabyte."""
SMALL_AT_ONCE = 256
"""The same of families whose states stay far below that: reading many in a row is cheaper."""
SMALL_STEP_BYTES = 4 << 10
"""Small states that are merged in one step: a step of its own for each costs more than many of them."""


class TooMuchAtOnce(Exception):
    """Several facts change more bytes than one transaction should hold: fewer of them are to be tried."""


class WideResync(Exception):
    """A resync may end more subjects than one transaction should hold: it is to be folded in portions."""


class TransactionLimits(Struct, frozen=True):
    """How much one transaction may hold."""

    write_bytes: int
    """Of states; what one subject needs is never refused."""
    resynced_subjects: int


NO_LIMITS = TransactionLimits(1 << 62, 1 << 62)
OF_A_TRANSACTION = TransactionLimits(16 << 20, 1_000)


def merging(family: Family[F, S], state: S | None, facts: Sequence[F]) -> Steps[S]:
    """Merge facts, at least one, into a state: some hundred a step."""
    first, *others = chunks(facts, FACTS_AT_ONCE)
    if len(first) == FACTS_AT_ONCE:
        yield
    merged = family.merge(state, first)
    for some in others:
        if len(some) == FACTS_AT_ONCE:
            yield
        merged = family.merge(merged, some)
    return merged


def chunks(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Yield items in lists of at most so many."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
