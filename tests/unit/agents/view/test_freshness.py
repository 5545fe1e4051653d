"""What is said of how far numbers are counted: receipts, lag and the tags of answers."""

import pytest
from msgspec import structs

from tally.agents.lag.tracker import LagTracker, Moment
from tally.agents.view.freshness import Freshness
from tally.agents.view.model import View
from tally.agents.view.receipt import Opening, entity_tag
from tally.schemas.grains import RowKey
from tally.schemas.missing import Known, Subjects, subjects_key
from tally.schemas.notices import CODE_FAILURE
from tally.schemas.rows import encode
from tally.tables.pieces import at_once
from tally.tables.postgres.moment import Held
from tests.support.view_rows import PROMO, put, put_progress

PARTITIONS = 2
AT = Moment(100.0, 1_795_350_876_120)


def counted_moment(at: Moment = AT) -> LagTracker:
    """A pipeline of which everything up to a moment is counted."""
    lag = LagTracker()
    lag.note_ends(at, {})
    lag.note_committed({})
    lag.note_facts_ends({})
    return lag


def freshness_at(
    view: View, lag: LagTracker, now_s: float = AT.monotonic_s + 0.18, generation: int = 1
) -> Freshness:
    return Freshness(view, lag, generation, lambda: now_s)


def ready_view() -> View:
    view = View(PARTITIONS)
    for partition, offset in ((0, 8812), (1, 9034)):
        view.set_ready(partition)
        put_progress(view, partition, offset)
    return view


def test_a_receipt_is_as_the_contract_says() -> None:
    assert freshness_at(ready_view(), counted_moment()).receipt("t1", "c1").answer() == {
        "as_of": "2026-11-22T12:34:36.120Z",
        "lag_ms": 180,
        "state": "live",
        "generation": 1,
        "partitions": {"ready": 2, "of": 2},
        "progress": {"0": 8812, "1": 9034},
    }


def written(view: View, held: Held, facts_ends: dict[int, int]) -> tuple[str, str | None]:
    """Return state and moment of what Postgres held, of a pipeline that had come so far at a moment."""
    lag = LagTracker()
    lag.note_ends(AT, {})
    lag.note_committed({})
    lag.note_facts_ends(facts_ends)
    receipt = freshness_at(view, lag).written_receipt(held, "t1", "c1")
    return receipt.state, receipt.answer()["as_of"]


def test_numbers_from_postgres_are_of_the_moment_that_all_its_partitions_have_reached() -> None:
    ends, now = {0: 8812, 1: 9034}, "2026-11-22T12:34:36.120Z"
    whole = Held(dict(ends), is_whole=True, withheld=0)
    assert written(ready_view(), whole, ends) == ("live", now)
    behind = structs.replace(whole, progress={0: 8812, 1: 9033})
    assert written(ready_view(), behind, ends) == ("catching_up", None)
    assert written(ready_view(), structs.replace(whole, is_whole=False), ends) == ("catching_up", None)
    assert written(ready_view(), structs.replace(whole, withheld=1), ends) == ("incomplete", now)


def test_a_partition_that_postgres_lacks_is_whole_only_where_nothing_was_ever_counted_in_it() -> None:
    held = Held({0: 8812}, is_whole=True, withheld=0)
    empty = View(PARTITIONS)
    put_progress(empty, 0, 8812)
    assert written(empty, held, {0: 8812, 1: 0})[0] == "live"
    assert written(empty, held, {0: 8812, 1: 1}) == ("catching_up", None)
    assert written(ready_view(), held, {0: 8812, 1: 9034}) == ("catching_up", None)


def lacking(view: View, count: int, acknowledged: int = 0, campaign: str = "c1") -> View:
    """Let subjects of a campaign of t1 be incomplete."""
    subjects = Subjects(count, 1, Known(acknowledged, "seen"))
    view.apply(0, subjects_key(CODE_FAILURE, ("t1", campaign)), encode(subjects))
    return view


def test_a_receipt_says_what_is_incomplete_and_only_then() -> None:
    freshness = freshness_at(lacking(ready_view(), 3), counted_moment())
    shown = freshness.receipt("t1", "c1").answer()
    assert (shown["state"], shown["incomplete"], shown["incomplete_by"]) == (
        "incomplete",
        3,
        {CODE_FAILURE: 3},
    )
    assert freshness.receipt("t1").state == "incomplete"
    for scope in (("t1", "c2"), ("t2", "c1"), ("t2",)):
        other = freshness.receipt(*scope).answer()
        assert (other["state"], "incomplete" in other) == ("live", False)


def test_what_is_acknowledged_alarms_no_more_hides_nothing_new_and_is_never_live() -> None:
    lag = counted_moment()
    known = freshness_at(lacking(ready_view(), 3, acknowledged=3), lag).receipt("t1", "c1").answer()
    assert known["state"] == "incomplete_acknowledged"
    assert (known["incomplete_acknowledged"], "incomplete" in known) == (3, False)
    more = freshness_at(lacking(ready_view(), 5, acknowledged=3), lag).receipt("t1", "c1").answer()
    assert (more["state"], more["incomplete"], more["incomplete_acknowledged"]) == ("incomplete", 2, 3)


@pytest.mark.parametrize("acknowledged", [0, 3])
def test_what_is_late_says_so_first_and_still_what_is_missing(acknowledged: int) -> None:
    view = lacking(ready_view(), 3, acknowledged)
    receipt = freshness_at(view, counted_moment(), AT.monotonic_s + 60).receipt("t1", "c1").answer()
    assert receipt["state"] == "catching_up"
    assert receipt.get("incomplete", 0) + receipt.get("incomplete_acknowledged", 0) == 3


def test_a_receipt_says_how_far_an_opening_has_come() -> None:
    opening = {1: Opening(read=40, of=100, seconds_left=3), 0: Opening(0, 0, None)}
    freshness = Freshness(ready_view(), LagTracker(), 1, lambda: 1.0, openings=lambda: opening)
    assert freshness.receipt("t1").answer()["opening"] == {
        "0": {"read": 0, "of": 0, "seconds_left": None},
        "1": {"read": 40, "of": 100, "seconds_left": 3},
    }


def test_before_anything_is_known_the_receipt_says_so() -> None:
    receipt = freshness_at(View(1), LagTracker()).receipt("t1", "c1").answer()
    assert (receipt["as_of"], receipt["lag_ms"], receipt["state"]) == (None, None, "catching_up")
    assert receipt["progress"] == {"0": 0}


def test_an_answer_is_live_up_to_the_limit_of_lag_and_only_if_all_partitions_are_ready() -> None:
    lag = counted_moment()
    assert freshness_at(ready_view(), lag, AT.monotonic_s + 2.0).receipt("t1", "c1").state == "live"
    assert freshness_at(ready_view(), lag, AT.monotonic_s + 2.1).receipt("t1", "c1").state == "catching_up"
    half = View(PARTITIONS)
    half.set_ready(0)
    assert freshness_at(half, lag).receipt("t1", "c1").state == "catching_up"


def test_lag_grows_while_nothing_is_measured() -> None:
    lag, view = counted_moment(), ready_view()
    assert freshness_at(view, LagTracker()).lag_seconds() is None
    assert [freshness_at(view, lag, AT.monotonic_s + age).lag_seconds() for age in (1, 60)] == [1.0, 60.0]


def tag(view: View, lag: LagTracker, now_s: float, generation: int = 1) -> str:
    receipt, found = freshness_at(view, lag, now_s, generation).receipt("t1", "c1"), view.find("t1", "c1")
    assert found is not None
    return entity_tag(receipt, [at_once(found.looking(with_totals=False)).version])


def test_a_tag_names_generation_rows_and_state_and_neither_time_nor_lag() -> None:
    def view() -> View:
        ready = ready_view()
        put(ready, RowKey("t1", "c1", PROMO), {"contacts": 1})
        return ready

    lag, now_s = counted_moment(), AT.monotonic_s
    first = tag(view(), lag, now_s)
    assert tag(view(), counted_moment(Moment(101.0, 1)), now_s + 1.5) == first
    moved_on = view()
    put_progress(moved_on, 0, 9999)
    assert tag(moved_on, lag, now_s) == first
    quarantined = lacking(view(), 1)
    changed = view()
    put(changed, RowKey("t1", "c1", PROMO), {"contacts": 1}, next_offset=2)
    others = {
        tag(view(), lag, now_s, generation=2),
        tag(view(), lag, now_s + 60),
        tag(quarantined, lag, now_s),
        tag(changed, lag, now_s),
    }
    assert len(others) == 4
    assert first not in others
