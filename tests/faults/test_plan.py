"""Faults are planned so that each kind happens, and each while work is left."""

from collections import Counter
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.plan import LEFT_AT_LEAST, WEIGHTS, plan


@given(st.integers(), st.integers(100, 100_000), st.integers(0, 50), st.integers(5, 30))
def test_every_kind_strikes_in_a_slice_of_its_own_and_a_fifth_of_the_work_follows(
    seed: int, records: int, kills: int, others: int
) -> None:
    strikes = plan(Random(seed), records, kills + others, kills, workers=2)
    kinds = Counter(strike.kind for strike in strikes)

    assert len(strikes) == kills + others
    assert kinds["kill"] == kills
    assert {kind for kind in WEIGHTS if kind != "kill"} <= kinds.keys()
    assert strikes[0].first == 0
    assert strikes[-1].last <= records * (1 - LEFT_AT_LEAST)
    assert all(one.last == other.first for one, other in pairwise(strikes))
