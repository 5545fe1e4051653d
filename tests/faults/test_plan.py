"""The plan lets each kind of fault strike while work is left, and only where it is possible."""

from collections import Counter
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.actions import ACTIONS, FAULTS
from tests.faults.plan import LEFT_AT_LEAST, LONGEST_ACTIONS, Capabilities, plan

OTHERS = len(FAULTS) - 1

seeds = st.integers()
kills = st.integers(0, 50)
others = st.integers(OTHERS, OTHERS + 20)


@given(seeds, st.integers(1_000, 100_000), kills, others)
def test_every_kind_strikes_in_a_slice_of_its_own_and_a_fifth_of_the_work_follows(
    seed: int, records: int, kills: int, others: int
) -> None:
    strikes = plan(Random(seed), records, kills + others, kills)
    faults = Counter(strike.action.kind for strike in strikes if strike.action.role == "fault")

    assert faults.total() == kills + others
    assert faults["kill"] == kills
    assert faults.keys() >= FAULTS - {"kill"}
    assert strikes[0].first == 0
    assert strikes[-1].last <= records * (1 - LEFT_AT_LEAST)
    assert all(one.last == other.first for one, other in pairwise(strikes))


@given(seeds, kills, others)
def test_an_action_is_done_only_where_it_is_allowed_and_everything_is_mended_at_the_end(
    seed: int, kills: int, others: int
) -> None:
    capabilities = Capabilities()
    for number, strike in enumerate(plan(Random(seed), 10_000, kills + others, kills)):
        assert capabilities.allows(strike.action)
        capabilities.do(strike.action, number)

    assert capabilities.has == {}


@given(seeds, kills, others)
def test_nothing_stays_broken_for_long(seed: int, kills: int, others: int) -> None:
    capabilities = Capabilities()
    undoable = {name for action in ACTIONS if action.role == "undoing" for name in action.removes}
    for number, strike in enumerate(plan(Random(seed), 10_000, kills + others, kills)):
        capabilities.do(strike.action, number)
        broken = [number - since for name, since in capabilities.has.items() if name in undoable]
        assert max(broken, default=0) <= LONGEST_ACTIONS + len(undoable)
