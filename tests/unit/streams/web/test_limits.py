"""Laws of limits: a burst, then a steady rate, each key by itself."""

from hypothesis import given
from hypothesis import strategies as st

from tally.streams.web.limits import MOST_KEYS, KeyLimits, Limit


def test_a_burst_is_let_in_then_the_steady_rate() -> None:
    limits = KeyLimits(Limit(per_second=10, burst=5))
    assert [limits.wait_seconds("a", 100.0) for _ in range(5)] == [0.0] * 5
    assert 0 < limits.wait_seconds("a", 100.0) <= 0.1
    assert limits.wait_seconds("b", 100.0) == 0.0, "another key has a burst of its own"
    assert limits.wait_seconds("a", 100.1) == 0.0
    assert limits.wait_seconds("a", 100.1) > 0
    assert [limits.wait_seconds("a", 200.0) for _ in range(5)] == [0.0] * 5


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0.5, 50), st.integers(1, 20))
def test_no_more_than_burst_and_rate_are_ever_let_in(
    pauses: list[float], per_second: float, burst: int
) -> None:
    limits, now_s, let_in = KeyLimits(Limit(per_second, burst)), 1_000.0, list[float]()
    for pause in pauses:
        now_s += pause
        pause_s = limits.wait_seconds("a", now_s)
        if pause_s == 0:
            let_in.append(now_s)
        else:
            now_s += pause_s
            assert limits.wait_seconds("a", now_s + 1e-6) == 0, "who waits as long as it is told is let in"
            let_in.append(now_s)
    for first in range(len(let_in)):
        for last in range(first, len(let_in)):
            assert last - first + 1 <= burst + (let_in[last] - let_in[first]) * per_second + 0.01


def test_no_more_keys_are_remembered_than_the_bound() -> None:
    limits = KeyLimits(Limit(per_second=1_000, burst=1))
    for number in range(2 * MOST_KEYS):
        assert limits.wait_seconds(f"k{number}", float(number)) == 0
    assert len(limits._whole_at_s) <= MOST_KEYS
