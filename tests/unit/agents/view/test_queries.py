"""Entries and answers of a campaign are made once for each version of its rows."""

import orjson
import pytest

from tally.agents.lag.tracker import LagTracker
from tally.agents.view.campaign import Campaign
from tally.agents.view.freshness import Freshness
from tally.agents.view.model import View
from tally.agents.view.queries import Queries
from tally.schemas.grains import RowKey
from tally.tables.pieces import at_once
from tests.support.view_rows import NEWS, PROMO, put

C1 = RowKey("t1", "c1", PROMO)


def queried(view: View) -> tuple[Queries, Campaign]:
    """Queries of a view, and its campaign c1."""
    queries = Queries(view, Freshness(view, LagTracker(), 1, lambda: 0.0), lambda: 0.0)
    campaign = queries.campaign("t1", "c1")
    assert campaign is not None
    return queries, campaign


@pytest.mark.asyncio
async def test_a_summary_is_made_anew_once_its_campaign_changed() -> None:
    view = View(1)
    put(view, C1, {"contacts": 1})
    queries, campaign = queried(view)
    (first,) = await queries.summaries([campaign])
    assert b'"contacts":1' in first.entry
    assert (await queries.summaries([campaign]))[0].entry is first.entry
    put(view, C1, {"contacts": 7}, next_offset=2)
    assert b'"contacts":7' in (await queries.summaries([campaign]))[0].entry


@pytest.mark.asyncio
async def test_a_summary_shows_a_span_that_became_shorter_after_its_page_was_made() -> None:
    view = View(1)
    put(view, C1, {"contacts": 1}, span=(0, 90))
    put(view, RowKey("t1", "c1", NEWS), {"contacts": 1}, span=(20, 30))
    queries, campaign = queried(view)
    put(view, C1, {"contacts": 1}, next_offset=2, span=(10, 40))
    others = campaign.narrowing()
    next(others)
    (wide,) = await queries.summaries([campaign])
    at_once(others)
    (narrow,) = await queries.summaries([campaign])
    shown = orjson.loads(narrow.entry)
    times = [shown["first_activity"], shown["last_activity"]]
    assert times == ["1970-01-01T00:00:00.010Z", "1970-01-01T00:00:00.040Z"]
    assert wide.version != narrow.version


@pytest.mark.asyncio
async def test_an_answer_is_kept_until_its_campaign_changes() -> None:
    view = View(1)
    put(view, C1, {"contacts": 1})
    queries, campaign = queried(view)
    first = await queries.answer(campaign)
    assert first.version == await queries.version(campaign)
    assert queries.kept(campaign, first.version) is first.entry
    put(view, C1, {"contacts": 7}, next_offset=2)
    assert queries.kept(campaign, await queries.version(campaign)) is None
    assert orjson.loads((await queries.answer(campaign)).entry)["totals"]["contacts"] == 7
