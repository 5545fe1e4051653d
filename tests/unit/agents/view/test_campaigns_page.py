"""Pages of a tenant's campaigns list each once, newest activity first."""

from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.campaigns_page import CampaignsPage, CampaignsQuery, campaigns_page
from tally.agents.view.model import View
from tally.agents.view.recent import Rank
from tally.schemas.grains import RowKey
from tally.tables.pieces import at_once
from tests.support.view_rows import PROMO, put, put_operator


def campaigns(activity: dict[str, int]) -> View:
    view = View(1)
    for name, last_ms in activity.items():
        put(view, RowKey("t1", name, PROMO), {"contacts": 1}, span=(0, last_ms))
    return view


def page_of(view: View, query: CampaignsQuery) -> CampaignsPage:
    return at_once(campaigns_page(view, "t1", query))


@given(
    st.dictionaries(st.integers(0, 30).map(lambda n: f"c{n}"), st.integers(0, 9), max_size=20),
    st.integers(1, 7),
    st.integers(0, 9),
    st.sets(st.integers(0, 30).map(lambda n: f"c{n}"), max_size=6),
)
def test_pages_one_after_the_other_list_each_campaign_once_newest_activity_first(
    activity: dict[str, int], limit: int, since_ms: int, ids: set[str]
) -> None:
    view = campaigns(activity)
    found: list[str] = []
    after: Rank | None = None
    while True:
        page, after = page_of(view, CampaignsQuery(after, since_ms, frozenset(ids), limit))
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
    page, following = page_of(view, CampaignsQuery(limit=1))
    assert [campaign.campaign for campaign in page] == ["c1"]
    assert following is None


def test_rows_of_operators_are_on_no_page() -> None:
    view = campaigns({"c1": 1})
    put_operator(view, "t1", "PJSIP/201", {"connects": 3})
    for ids in (frozenset[str](), frozenset({"", "c1"})):
        page, _ = page_of(view, CampaignsQuery(ids=ids))
        assert [campaign.campaign for campaign in page] == ["c1"]
    assert view.find("t1", "") is None
