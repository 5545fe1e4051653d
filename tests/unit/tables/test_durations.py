"""Distributions answer for what was put in: exactly up to 50 s, within 1 % beyond."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.fields import MAX_SECONDS
from tally.tables.durations import AGES, Summary, bucket, summarise

DURATIONS = st.integers(0, 60) | st.integers(0, 37 * 86_400) | st.integers(0, MAX_SECONDS)


def nearest_rank(values: list[int], percent: int) -> int:
    return sorted(values)[-(-len(values) * percent // 100) - 1]


@given(st.lists(DURATIONS, min_size=1), st.lists(st.integers(-1000, -1)))
def test_percentiles_are_those_of_the_values(values: list[int], negative: list[int]) -> None:
    found = summarise(Counter(bucket(seconds) for seconds in [*values, *negative]))

    assert (found.count, found.negative) == (len(values), len(negative))
    for percent, at_ms in ((50, found.p50_ms), (95, found.p95_ms), (99, found.p99_ms)):
        true_s = nearest_rank(values, percent)
        assert at_ms is not None
        assert abs(at_ms / 1000 - true_s) <= (0 if true_s < 50 else true_s * 0.0101)


def test_nothing_counted_has_no_percentiles() -> None:
    assert summarise({}) == Summary(0, None, None, None, 0)


@given(
    DURATIONS | st.sampled_from(AGES).flatmap(lambda age: st.integers(age - 60, age + 60)),
    st.sampled_from(AGES),
)
def test_a_bucket_says_whether_a_duration_is_no_longer_than_an_age(seconds: int, age: int) -> None:
    name = bucket(seconds)

    assert (name == "negative" or int(name) <= age) == (seconds <= age)
