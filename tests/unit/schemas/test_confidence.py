"""Laws of the lower confidence bound, and of the share of failures that is called high."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.confidence import HIGH_SHARE, LEAST_SENDS, failure_share, lower_bound

COUNTS = st.integers(1, 10**7).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@given(COUNTS)
def test_a_share_is_never_less_than_what_it_is_at_least(counts: tuple[int, int]) -> None:
    part, of = counts
    bound = lower_bound(part, of)
    assert 0.0 <= bound <= part / of
    assert lower_bound(10 * part, 10 * of) >= bound, "more of the same makes it surer"
    assert part == of or lower_bound(part + 1, of) > bound


@pytest.mark.parametrize(
    ("part", "of", "bound"),
    [(0, 0, 0.0), (0, 100, 0.0), (10, 100, 0.0607), (20, 100, 0.1425), (50, 50, 0.9487), (1, 1, 0.2699)],
)
def test_it_is_the_bound_of_the_tables(part: int, of: int, bound: float) -> None:
    # Solved by hand: the share at which `part` is 1.6449 standard deviations too many.
    assert lower_bound(part, of) == pytest.approx(bound, abs=1e-4)


def test_of_a_hundred_campaigns_that_fail_at_the_limit_about_five_are_called_high() -> None:
    for sends in (LEAST_SENDS, 200, 1_000):
        called = sum(
            comb(sends, failed) * HIGH_SHARE**failed * (1 - HIGH_SHARE) ** (sends - failed)
            for failed in range(sends + 1)
            if failure_share(failed, sends).is_high
        )
        assert called < 0.07


def test_few_sends_are_never_called_high_and_nothing_has_no_share() -> None:
    assert not failure_share(LEAST_SENDS - 1, LEAST_SENDS - 1).is_high
    assert failure_share(LEAST_SENDS, LEAST_SENDS).is_high
    assert failure_share(0, 0).value is None
    assert failure_share(3, 0).sends == 3, "partitions may be of two moments"
