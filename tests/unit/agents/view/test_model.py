"""Laws of the memory view."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.campaign import Campaign
from tally.agents.view.model import ChangelogReplaced, View
from tally.agents.view.operator_rows import Operator
from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import PROGRESS_KEY, Row, RowHead, decode_head, encode
from tally.tables.pieces import at_once
from tests.support.view_rows import NEWS, PROMO, ROW_KEYS, ROWS, progress, put, put_operator, put_progress

KEY = RowKey("t1", "c1", PROMO)
PARTITIONS = 2

Change = tuple[int, RowKey, Row]
CHANGES = st.lists(st.tuples(st.integers(0, PARTITIONS - 1), ROW_KEYS, ROWS), max_size=12)


def in_order(changes: list[Change]) -> list[Change]:
    """As a changelog has them: offsets rise in each partition."""
    return sorted(changes, key=lambda change: change[2].next_offset)


def read(changes: list[Change], view: View | None = None) -> View:
    view = view or View(PARTITIONS)
    for partition, key, row in changes:
        view.apply(partition, key.encode(), encode(row))
    return view


def version(campaign: Campaign) -> bytes:
    return at_once(campaign.looking(with_totals=False)).version


def operators(view: View, tenant: str) -> list[Operator]:
    names = view.operators.names(tenant)
    return [one for name in names if (one := view.operators.one(tenant, name))]


def versions(view: View) -> dict[tuple[str, str], bytes]:
    names = {(key.tenant, key.campaign) for p in range(PARTITIONS) for key in view.rows(p)}
    return {name: version(found) for name in names if (found := view.find(*name))}


@given(CHANGES)
def test_the_view_holds_the_last_row_of_each_partition_and_key(changes: list[Change]) -> None:
    changes = in_order(changes)
    view = read(changes)
    for partition in range(PARTITIONS):
        assert view.rows(partition) == {key: row for p, key, row in changes if p == partition}


@given(CHANGES)
def test_a_campaign_is_its_rows_of_all_partitions(changes: list[Change]) -> None:
    view = read(in_order(changes))
    expected = [
        (partition, key, row)
        for partition in range(PARTITIONS)
        for key, row in view.rows(partition).items()
        if (key.tenant, key.campaign) == ("t1", "c1")
    ]
    found = view.campaign("t1", "c1")
    assert len(found) == len(expected)
    assert all(row in expected for row in found)


@given(CHANGES, st.integers(0, 12))
def test_reading_the_changelog_again_moves_no_row_back(changes: list[Change], seen: int) -> None:
    # Rows of one offset are of one transaction, which has each key once.
    changes = list({(p, key, row.next_offset): (p, key, row) for p, key, row in in_order(changes)}.values())
    whole = read(changes)
    assert versions(read(changes[:seen], read(changes))) == versions(whole)


@given(CHANGES)
def test_two_processes_that_read_the_same_give_the_same_versions(changes: list[Change]) -> None:
    changes = in_order(changes)
    by_partition = sorted(changes, key=lambda change: change[0])
    assert versions(read(changes)) == versions(read(by_partition))


@given(CHANGES, st.data())
def test_a_version_changes_with_its_campaign_and_with_no_other(
    changes: list[Change], data: st.DataObject
) -> None:
    view = read(in_order(changes))
    before = versions(view)
    key = data.draw(ROW_KEYS)
    put(view, key, {"contacts": 7}, next_offset=10)
    changed = {name for name, version in versions(view).items() if before.get(name) != version}
    assert changed == {(key.tenant, key.campaign)}


@given(ROWS)
def test_a_row_begins_with_its_head(row: Row) -> None:
    assert decode_head(encode(row)) == RowHead(row.next_offset, row.first_ms, row.last_ms)


def test_a_row_of_the_same_offset_replaces_and_an_older_one_does_not() -> None:
    view = View(1)
    put(view, KEY, {"contacts": 1}, next_offset=5)
    put(view, KEY, {"contacts": 2}, next_offset=5)
    assert view.rows(0)[KEY].counts == {"contacts": 2}
    put(view, KEY, {"contacts": 3}, next_offset=4)
    assert view.rows(0)[KEY].counts == {"contacts": 2}


def test_listeners_hear_of_each_changed_row_and_of_nothing_else() -> None:
    view = View(1)
    heard: list[tuple[int, RowKey, int]] = []
    view.listeners.append(
        lambda partition, key: heard.append((partition, key, view.rows(partition)[key].next_offset))
    )
    put(view, KEY, {"contacts": 1}, next_offset=5)
    put(view, KEY, {"contacts": 1}, next_offset=5)
    put(view, KEY, {"contacts": 9}, next_offset=4)
    put(view, KEY, {}, next_offset=6)
    put_progress(view, 0, 6)
    assert heard == [(0, KEY, 5), (0, KEY, 6)]


def test_a_campaign_of_which_only_zero_rows_remain_is_not_found() -> None:
    view = View(2)
    put(view, KEY, {"contacts": 1})
    put(view, RowKey("t1", "c1", NEWS), {}, partition=1)
    assert view.find("t1", "c1") is not None
    put(view, KEY, {}, next_offset=2)
    assert view.find("t1", "c1") is None
    assert list(view.recent("t1")) == []
    assert len(view.campaign("t1", "c1")) == 2


def test_a_row_that_was_deleted_from_the_changelog_is_forgotten() -> None:
    view = View(1)
    put(view, KEY, {"contacts": 1})
    view.apply(0, KEY.encode(), None)
    view.apply(0, RowKey("t1", "never", None).encode(), None)
    assert view.campaign("t1", "c1") == []
    assert view.rows(0) == {}
    assert list(view.recent("t1")) == []


def test_progress_moves_forward_only() -> None:
    view = View(2)
    assert (view.progress(0), view.next_offset(0)) == (None, 0)
    for offset in (3, 7, 5):
        put_progress(view, 0, offset)
    assert view.next_offset(0) == 7
    assert view.next_offset(1) == 0


@pytest.mark.parametrize("value", [progress(4, store_id="another"), None])
def test_a_changelog_that_was_replaced_is_an_error(value: bytes | None) -> None:
    view = View(1)
    put_progress(view, 0, 3)
    with pytest.raises(ChangelogReplaced):
        view.apply(0, PROGRESS_KEY, value)


def test_partitions_become_ready_once() -> None:
    view = View(2)
    view.set_ready(1)
    view.set_ready(1)
    assert view.ready_partitions == 1
    assert view.is_ready(1)
    assert not view.is_ready(0)


def test_campaigns_with_more_templates_than_an_answer_shows_are_counted() -> None:
    view, most = View(2), TEMPLATES_SHOWN.most
    for n in range(most):
        put(view, RowKey("t1", "c1", Template(f"t{n}")), {"contacts": 1})
        put_operator(view, "t1", f"PJSIP/{n}", {"connects": 1})
    put(view, RowKey("t1", "c1", None), {"replied": 1})
    put_operator(view, "t1", "PJSIP/more", {"connects": 1})
    assert view.beyond == 0
    put(view, RowKey("t1", "c1", Template("more")), {"contacts": 1})
    put(view, RowKey("t1", "c1", Template("more")), {"contacts": 1}, partition=1)
    assert view.beyond == 1
    view.apply(1, RowKey("t1", "c1", Template("more")).encode(), None)
    assert view.beyond == 1
    view.apply(0, RowKey("t1", "c1", Template("more")).encode(), None)
    assert view.beyond == 0


def test_a_row_without_a_campaign_is_no_campaign() -> None:
    view = View(1)
    put(view, KEY, {"contacts": 1})
    put_operator(view, "t1", "PJSIP/201", {"connects": 3})
    put(view, RowKey("t1", "", None), {"connects": 3})
    assert view.find("t1", "") is None
    assert view.campaign("t1", "") == []
    assert [found.campaign for found in view.recent("t1")] == ["c1"]
    assert [operator.interface for operator in operators(view, "t1")] == ["PJSIP/201"]
    for key in list(view.rows(0)):
        view.apply(0, key.encode(), None)
    assert (operators(view, "t1"), list(view.recent("t1"))) == ([], [])


def test_rows_of_operators_are_heard_of_and_kept_as_all_rows() -> None:
    view = View(1)
    heard: list[RowKey] = []
    view.listeners.append(lambda _partition, key: heard.append(key))
    put_operator(view, "t1", "PJSIP/201", {"connects": 3}, next_offset=5)
    put_operator(view, "t1", "PJSIP/201", {"connects": 2}, next_offset=4)
    key = RowKey("t1", "", Template("pbx01", "PJSIP/201"))
    assert heard == [key]
    assert view.rows(0)[key].counts == {"connects": 3}
    assert [operator.counts["connects"] for operator in operators(view, "t1")] == [3]


@given(CHANGES)
def test_operators_are_the_same_however_often_they_were_read_in_between(changes: list[Change]) -> None:
    changes = [(p, RowKey(key.tenant, "", key.template or NEWS), row) for p, key, row in in_order(changes)]
    whole, watched = read(changes), View(PARTITIONS)
    for change in changes:
        read([change], watched)
        operators(watched, "t1")
    for tenant in ("t1", "t/2"):
        found, expected = (sorted(operators(view, tenant), key=repr) for view in (watched, whole))
        assert found == expected
