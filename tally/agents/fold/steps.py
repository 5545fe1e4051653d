"""The steps of a batch, and the limits of one transaction. Pure.

A batch is computed in steps of one subject, between which the caller can yield to other tasks. Only sizes
decide how a batch is split, never a clock: it is split equally on every machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from msgspec import Struct

from tally.tables.families.family import F, Family, S
from tally.tables.pieces import Steps

T = TypeVar("T")

FACTS_AT_ONCE = 500
"""Facts that one step decodes, or merges into one state."""
STEP_BYTES = 16 << 10
"""Bytes of states that one step encodes or counts; a larger state gets separate steps."""
AT_ONCE = 64
"""Subjects whose states are read together; each may be up to a megabyte."""
SMALL_AT_ONCE = 256
"""The same for families whose states stay far below that: reading many together is cheaper."""
SMALL_STEP_BYTES = 4 << 10
"""Bytes of small states that one step merges: a step costs more than many such states."""


class TooMuchAtOnce(Exception):
    """Several facts change more bytes than one transaction should hold: the caller tries fewer of them."""


class WideResync(Exception):
    """A resync may end more subjects than one transaction should hold: the caller folds it in portions."""


class TransactionLimits(Struct, frozen=True):
    """The limits of one transaction."""

    write_bytes: int
    """Bytes of states; a batch of one fact or one subject is not limited."""
    resynced_subjects: int


NO_LIMITS = TransactionLimits(1 << 62, 1 << 62)
OF_A_TRANSACTION = TransactionLimits(16 << 20, 1_000)


def merging(family: Family[F, S], state: S | None, facts: Sequence[F]) -> Steps[S]:
    """Merge facts, at least one, into a state, some hundred a step."""
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
    """Yield items in lists of at most `size`."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
