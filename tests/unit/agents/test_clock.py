"""Laws of waits and pauses."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.clock import Backoff, wait_for


@pytest.mark.asyncio
async def test_a_wait_ends_with_its_event_or_at_its_deadline() -> None:
    event = asyncio.Event()
    assert await wait_for(event, 0.001) is False

    asyncio.get_running_loop().call_soon(event.set)
    async with asyncio.timeout(5):
        assert await wait_for(event, 1000.0) is True


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    backoff = Backoff(0.5, 10.0, spread=0.0)
    assert [backoff.failed(0.7) for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]

    backoff.succeeded()
    assert backoff.failed(0.7) == 0.5


@given(spread=st.floats(0, 1), jitter=st.floats(0, 1), failures=st.integers(0, 200))
def test_jitter_only_shortens_a_pause_by_no_more_than_its_spread(
    spread: float, jitter: float, failures: int
) -> None:
    whole = Backoff(0.2, 30.0, spread=0.0, failures=failures).failed(jitter)
    pause = Backoff(0.2, 30.0, spread, failures).failed(jitter)

    assert whole * (1 - spread) * 0.999 <= pause <= whole * 1.001
