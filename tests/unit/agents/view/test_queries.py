"""Pages of campaigns, their entries in lists, and answers that are kept."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.lag.tracker import LagTracker
from tally.agents.view.freshness import Freshness
from tally.agents.view.model import View
from tally.agents.view.queries import Queries
from tally.agents.view.recent import Rank
from tally.schemas.grains import RowKey
from tally.tables.pieces import at_once
from tests.support.view_rows import NEWS, PROMO, put, put_operator


def queries_of(view: View) -> Queries:
    return Queries(view, Freshness(view, LagTracker(), 1, lambda: 0.0), lambda: 0.0)


def campaigns(activity: dict[str, int]) -> View:
    view = View(1)
    for name, last_ms in activity.items():
        put(view, RowKey("t1", name, PROMO), {"contacts": 1}, span=(0, last_ms))
    return view


@given(
    st.dictionaries(st.integers(0, 30).map(lambda n: f"c{n}"), st.integers(0, 9), max_size=20),
    st.integers(1, 7),
    st.integers(0, 9),
    st.sets(st.integers(0, 30).map(lambda n: f"c{n}"), max_size=6),
)
def test_pages_one_after_the_other_list_each_campaign_once_newest_activity_first(
    activity: dict[str, int], limit: int, since_ms: int, ids: set[str]
) -> None:
    queries = queries_of(campaigns(activity))
    found: list[str] = []
    after: Rank | None = None
    while True:
        page, after = at_once(queries.page("t1", after, since_ms, frozenset(ids), limit))
        found += [campaign.campaign for campaign in page]
        assert len(page) == limit or after is None
        if after is None:
            break
    chosen = {name: at for name, at in activity.items() if at >= since_ms and (not ids or name in ids)}
    assert found == sorted(chosen, key=lambda name: (-chosen[name], name))


def test_a_list_does_not_show_campaigns_without_counts_nor_other_tenants() -> None:
    view = campaigns({"c1": 1, "c2": 2})
    put(view, RowKey("t1", "c2", PROMO), {}, next_offset=2)
    put(view, RowKey("t2", "c3", PROMO), {"contacts": 1})
    page, following = at_once(queries_of(view).page("t1", None, 0, frozenset(), 1))
    assert [campaign.campaign for campaign in page] == ["c1"]
    assert following is None


def test_rows_of_operators_are_on_no_page() -> None:
    view = campaigns({"c1": 1})
    put_operator(view, "t1", "PJSIP/201", {"connects": 3})
    queries = queries_of(view)
    for ids in (frozenset[str](), frozenset({"", "c1"})):
        page, _ = at_once(queries.page("t1", None, 0, ids, 10))
        assert [campaign.campaign for campaign in page] == ["c1"]
    assert queries.campaign("t1", "") is None


@pytest.mark.asyncio
async def test_a_summary_is_made_anew_once_its_campaign_changed() -> None:
    view = campaigns({"c1": 1})
    queries = queries_of(view)
    (campaign,), _ = at_once(queries.page("t1", None, 0, frozenset(), 1))
    (first,) = await queries.summaries([campaign])
    assert b'"contacts":1' in first.entry
    assert (await queries.summaries([campaign]))[0].entry is first.entry
    put(view, RowKey("t1", "c1", PROMO), {"contacts": 7}, next_offset=2)
    assert b'"contacts":7' in (await queries.summaries([campaign]))[0].entry


@pytest.mark.asyncio
async def test_a_summary_shows_a_span_that_became_shorter_after_its_page_was_made() -> None:
    view = campaigns({"c1": 90})
    put(view, RowKey("t1", "c1", NEWS), {"contacts": 1}, span=(20, 30))
    queries = queries_of(view)
    (campaign,), _ = at_once(queries.page("t1", None, 0, frozenset(), 1))
    put(view, RowKey("t1", "c1", PROMO), {"contacts": 1}, next_offset=2, span=(10, 40))
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
    view = campaigns({"c1": 1})
    queries = queries_of(view)
    campaign = queries.campaign("t1", "c1")
    assert campaign is not None
    first = await queries.answer(campaign)
    assert first.version == await queries.version(campaign)
    assert queries.kept(campaign, first.version) is first.entry
    put(view, RowKey("t1", "c1", PROMO), {"contacts": 7}, next_offset=2)
    assert queries.kept(campaign, await queries.version(campaign)) is None
    assert orjson.loads((await queries.answer(campaign)).entry)["totals"]["contacts"] == 7
