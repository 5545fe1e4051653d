"""The cost of oddly shaped calls: a chain twice as long takes about twice the CPU, and none ends a worker."""

import time
from collections.abc import Callable, Iterator

import pytest

from tally.schemas.bounds import CALL_MEMBERS
from tally.schemas.call_facts import CALL, CallFact, ChannelSnapshot, ChannelsSeen, Dialled, Kind, Role
from tally.schemas.keys import FREE_FORM, join_parts
from tally.schemas.records import KeyedFact
from tally.tables.families.call.family import CallFamily
from tally.tables.families.call.state import Call
from tally.tables.rules import Rules
from tests.support.cpu import doubling, largest_step, slowness
from tests.support.partition import MemoryPartition

AT_US = 1_795_000_000_000_000
NAMED: dict[Role, str] = {"campaign": "c1", "contact": "0", "tenant": "t1"}
FAMILY = CallFamily()
KEY = b"pbx1/uu0"
MOST = 2.6
TURN_SECONDS = 0.05
"""Of CPU, that no turn of the event loop may use: counting a call is in one."""
BATCH_SECONDS = 1.0
"""Of CPU, for a batch of the usual size: a sixth of what a worker's session allows."""
BATCH = 1_000


def seen(at: int, kind: Kind, *snapshots: ChannelSnapshot, detail: str = "") -> ChannelsSeen:
    return ChannelsSeen(AT_US + at, kind, list(snapshots), detail)


def channel(name: str, **variables: str) -> ChannelSnapshot:
    return ChannelSnapshot(name, "u0", f"PJSIP/t-{name}", 6, variables)  # type: ignore[arg-type]  # roles by name


def dials(count: int) -> list[CallFact]:
    """Each channel dials the next one, and all show one contact."""
    chain = [channel(f"u{n}", **NAMED) for n in range(count + 1)]
    return [seen(n, "dial", chain[n], chain[n + 1]) for n in range(count)]


def locals_in_locals(count: int) -> list[CallFact]:
    """Each Local channel's other half dials the next Local channel."""
    halves = [
        [ChannelSnapshot(f"{half}{n}", "u0", f"Local/9@dial-{n};{half}", 0, NAMED) for half in (1, 2)]
        for n in range(count)
    ]
    shown: list[CallFact] = [seen(0, "seen", *pair) for pair in halves]
    return shown + [seen(n, "dial", halves[n][1], halves[n + 1][0]) for n in range(count - 1)]


def one_contact(count: int) -> list[CallFact]:
    """A dialler that gives all its calls one contact, and only an ActionID."""
    facts: list[CallFact] = []
    for n in range(count):
        ids = [("action_id", f"a{n}")]
        facts.append(Dialled("t1", "c1", "0", str(n), "accepted", AT_US // 1000 + n, FREE_FORM, ids, False))
        facts.append(seen(n * 1000, "seen", ChannelSnapshot(f"u{n}", "", "PJSIP/t-1", 0, NAMED)))
    return facts


def one_operator(count: int) -> list[CallFact]:
    """An operator whose channel stays up all day, and takes call after call."""
    facts: list[CallFact] = []
    operator = channel("op")
    for n in range(count):
        customer = channel(f"u{n}", campaign="c1", contact=str(n), attempt="1", tenant="t1")
        for after, who in enumerate((customer, operator)):
            facts.append(seen(100 * n + after, "enter", who, detail=f"b{n}"))
            facts.append(seen(100 * n + 50 + after, "leave", who, detail=f"b{n}"))
        facts += [seen(100 * n + 10, "hold", operator), seen(100 * n + 20, "unhold", operator)]
    return facts


def one_bridge(count: int) -> list[CallFact]:
    """Customers and operators who all meet in one bridge."""
    facts: list[CallFact] = []
    for n in range(count):
        facts.append(seen(n, "enter", channel(f"u{n}", **NAMED, attempt=str(n)), detail="b"))
        facts.append(seen(n, "enter", channel(f"op{n}"), detail="b"))
    return facts


def one_local(count: int) -> list[CallFact]:
    """Six customers and six operators whom a Local channel connects again and again."""
    first, second = (ChannelSnapshot(f"l{half}", "u0", f"Local/9@dial-1;{half}") for half in (1, 2))
    facts: list[CallFact] = [seen(0, "seen", first, second), seen(1, "enter", first, detail="b")]
    for n in range(6):
        facts.append(seen(2, "enter", channel(f"u{n}", **NAMED, attempt=str(n)), detail="b"))
        facts.append(seen(2, "enter", channel(f"op{n}"), detail="c"))
    for n in range(count):
        kinds: tuple[Kind, Kind] = ("enter", "leave")
        facts.append(seen(10 + n, kinds[n % 2], second, detail="c"))
    return facts


def conferences(count: int) -> list[CallFact]:
    """Bridges in which three customers meet two operators each, who stay."""
    return [
        seen(n, "enter", who, detail=f"b{n // 5}")
        for n in range(count)
        for who in [channel(f"u{n}", **NAMED, attempt=str(n)) if n % 5 < 3 else channel(f"op{n}")]
    ]


def queues(count: int) -> list[CallFact]:
    """A caller who is moved from queue to queue."""
    kinds: tuple[Kind, ...] = ("join", "unjoin")
    return [
        seen(n + later, kind, channel("u0", **NAMED), detail=f"q{n}")
        for n in range(count)
        for later, kind in enumerate(kinds)
    ]


SHAPES: dict[str, tuple[Callable[[int], list[CallFact]], int]] = {
    "dials in a chain": (dials, 400),
    "Local channels in Local channels": (locals_in_locals, 250),
    "calls of one contact": (one_contact, 200),
    "calls of one operator": (one_operator, 150),
    "many conferences": (conferences, 300),
    "queues of one caller": (queues, 400),
}


@pytest.mark.parametrize(("facts", "size"), SHAPES.values(), ids=SHAPES)
def test_counting_twice_as_much_costs_about_twice_as_much(
    facts: Callable[[int], list[CallFact]], size: int
) -> None:
    small, large = FAMILY.merge(None, facts(size)), FAMILY.merge(None, facts(2 * size))
    assert not large.is_beyond

    assert (
        doubling(
            lambda: FAMILY.contribution(KEY, small, Rules()),
            lambda: FAMILY.contribution(KEY, large, Rules()),
            MOST,
        )
        <= MOST
    )


CROWDS: dict[str, tuple[Callable[[int], list[CallFact]], int]] = {
    "everybody in one bridge": (one_bridge, 1),
    "two crowds and a Local channel": (one_local, 1),
}
"""Shapes in which everybody is connected with everybody: there are more pairs than facts."""


def largest(facts: Callable[[int], list[CallFact]]) -> Call:
    """Return the call of a shape that is as large as one may be that counts."""
    least, most = 1, CALL_MEMBERS.most
    while least < most:
        size = (least + most + 1) // 2
        if FAMILY.beyond(FAMILY.merge(None, facts(size))):
            most = size - 1
        else:
            least = size
    return FAMILY.merge(None, facts(least))


@pytest.mark.parametrize(("facts", "_"), (SHAPES | CROWDS).values(), ids=SHAPES | CROWDS)
def test_the_largest_call_that_counts_takes_no_long_turn(
    facts: Callable[[int], list[CallFact]], _: int
) -> None:
    call = largest(facts)

    def counted() -> Iterator[None]:
        FAMILY.contribution(KEY, call, Rules())
        yield

    assert largest_step(counted, TURN_SECONDS) <= TURN_SECONDS


@pytest.mark.parametrize(("facts", "_"), (SHAPES | CROWDS).values(), ids=SHAPES | CROWDS)
def test_no_batch_of_a_call_of_any_size_takes_long(facts: Callable[[int], list[CallFact]], _: int) -> None:
    partition = MemoryPartition()
    rest = [KeyedFact(CALL, join_parts("pbx1"), fact) for fact in facts(3_000)]
    while rest:
        began = time.process_time()
        partition.fold(rest[:BATCH], Rules())
        seconds = time.process_time() - began
        assert seconds < BATCH_SECONDS or seconds / slowness() < BATCH_SECONDS
        rest = rest[BATCH:]
