"""Which campaigns the metric of failing ones counts."""

import pytest

from tally.agents.lag.tracker import LagTracker
from tally.agents.view.answer import failing
from tally.agents.view.failing import ACTIVE_MS, FailingCampaigns
from tally.agents.view.freshness import Freshness
from tally.agents.view.model import View
from tally.agents.view.queries import Queries
from tally.schemas.grains import RowKey
from tests.support.view_rows import NEWS, PROMO, put

NOW_MS = 1_795_000_000_000
BAD = {"attempts": 900, "queued": 800, "accepted": 60, "failed_at_send": 40}
GOOD = {"attempts": 100, "accepted": 95, "failed_at_send": 5}


def test_what_is_queued_hides_no_failure_and_what_fails_after_the_send_counts_once() -> None:
    assert failing(BAD).value == 0.4
    assert failing({"accepted": 80, "failed_at_send": 20, "failed_after_send": 20}).value == 0.4
    assert failing({"attempted": 80, "failed_at_send": 20}).value == 0.2, "calls are sends too"


@pytest.mark.asyncio
async def test_it_counts_campaigns_of_today_that_surely_fail_too_much_over_all_templates() -> None:
    view = View(2)
    queries = Queries(view, Freshness(view, LagTracker(), 1, lambda: 0.0), lambda: 0.0)
    counted = FailingCampaigns(queries, lambda: NOW_MS)
    today = (NOW_MS - 1000, NOW_MS)

    async def now(campaign: str, counts: dict[str, int], span: tuple[int, int] = today) -> int:
        put(view, RowKey("t1", campaign, PROMO), counts, next_offset=offset.pop(), span=span)
        await counted.judge()
        return len(counted)

    offset = list(range(20, 0, -1))
    assert len(counted) == 0
    assert await now("good", GOOD) == 0
    assert await now("bad", BAD) == 1
    assert await now("bad", BAD) == 1, "counted once"
    assert await now("of yesterday", BAD, (0, NOW_MS - ACTIVE_MS - 1)) == 1
    assert await now("few", {"accepted": 20, "failed_at_send": 20}) == 1
    put(view, RowKey("t1", "bad", NEWS), {"accepted": 9_000, "attempts": 9_000}, 1, span=today)
    assert await now("good", BAD) == 1, "another template has made the first one good"
    view.apply(0, RowKey("t1", "good", PROMO).encode(), None)
    await counted.judge()
    assert len(counted) == 0, "a campaign that is no more does not fail"
