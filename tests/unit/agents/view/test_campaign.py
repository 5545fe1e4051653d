"""Looks at a campaign, and the span of its activity."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.model import View
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.tables.pieces import Steps, at_once
from tests.support.view_rows import NEWS, PROMO, put
from tests.unit.agents.view.test_model import CHANGES, KEY, PARTITIONS, Change, in_order, read


def test_activity_spans_all_rows_of_a_campaign() -> None:
    view = View(2)
    put(view, KEY, {"contacts": 1}, span=(50, 60))
    put(view, RowKey("t1", "c1", None), {"replied": 1}, partition=1, span=(40, 55))
    found = view.find("t1", "c1")
    assert found is not None
    assert (found.first_ms, found.last_ms) == (40, 60)


@given(CHANGES, st.lists(st.booleans(), max_size=12))
def test_looking_again_and_again_shows_what_looking_once_does(
    changes: list[Change], looks: list[bool]
) -> None:
    changes = in_order(changes)
    whole, watched = read(changes), View(PARTITIONS)
    for n, change in enumerate(changes):
        read([change], watched)
        if (found := watched.find("t1", "c1")) and n < len(looks):
            at_once(found.looking(with_totals=looks[n]))
    for view in (whole, watched):
        for key in list(view.rows(0))[:1]:
            view.apply(0, key.encode(), None)
    once, often = whole.find("t1", "c1"), watched.find("t1", "c1")
    assert (once is None) is (often is None)
    if once is not None and often is not None:
        first, second = (at_once(found.looking(with_totals=True)) for found in (once, often))
        assert second.version == first.version
        for name in ("counts", "channels"):
            one, two = getattr(first.totals, name), getattr(second.totals, name)
            assert {key: n for key, n in two.items() if n} == one


def test_what_changes_while_somebody_looks_is_seen_by_the_next_look() -> None:
    view = View(1)
    for n in range(200):
        put(view, RowKey("t1", "c1", Template(f"t{n}")), {"contacts": 1})
    found = view.find("t1", "c1")
    assert found is not None
    first = found.looking(with_totals=True)
    next(first)
    put(view, RowKey("t1", "c1", Template("t199")), {"contacts": 5}, next_offset=2)
    put(view, RowKey("t1", "c1", Template("new")), {"contacts": 10}, next_offset=2)
    assert at_once(first).totals.counts == {"contacts": 200}
    assert at_once(found.looking(with_totals=True)).totals.counts == {"contacts": 214}
    for n in range(200):  # more than is taken up one by one
        put(view, RowKey("t1", "c1", Template(f"t{n}")), {"contacts": 2}, next_offset=3)
    assert at_once(found.looking(with_totals=True)).totals.counts == {"contacts": 410}


def test_a_span_that_becomes_shorter_is_found_anew_whatever_comes_meanwhile() -> None:
    view = View(2)
    put(view, KEY, {"contacts": 1}, span=(10, 90))
    put(view, RowKey("t1", "c1", NEWS), {"contacts": 1}, span=(20, 50))
    put(view, RowKey("t1", "c2", NEWS), {"contacts": 1}, span=(20, 60))
    put(view, KEY, {"contacts": 1}, next_offset=2, span=(30, 40))
    assert [found.campaign for found in view.recent("t1")] == ["c1", "c2"]
    steps = view.narrowing("t1")
    next(steps)
    put(view, RowKey("t1", "c1", None), {"replied": 1}, span=(25, 55))
    at_once(steps)
    found = view.find("t1", "c1")
    assert found is not None
    assert (found.first_ms, found.last_ms) == (20, 55)
    assert [found.campaign for found in view.recent("t1")] == ["c2", "c1"]
    put(view, RowKey("t1", "c1", None), {"replied": 1}, next_offset=3, span=(25, 26))
    given_up = view.narrowing("t1")
    next(given_up)
    given_up.close()
    at_once(view.narrowing("t1"))
    assert (found.first_ms, found.last_ms) == (20, 50)


SPANS = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)
NARROWING = st.sampled_from(["begin", "step", "give up"])
PLACES = st.tuples(
    st.integers(0, PARTITIONS - 1), st.sampled_from(["c1", "c2"]), st.sampled_from([PROMO, NEWS])
)
MOVES = st.lists(st.one_of(st.tuples(PLACES, st.none() | SPANS), NARROWING), max_size=30)


@given(MOVES)
def test_spans_are_those_of_the_rows_once_they_are_sought_however_rows_and_seekers_took_turns(
    moves: list[Any],
) -> None:
    view, seekers = View(PARTITIONS), list[Steps[None]]()
    for next_offset, move in enumerate(moves):
        if move == "begin":
            seekers.append(view.narrowing("t1"))
            next(seekers[-1], None)
        elif move == "step":
            for seeker in seekers:
                next(seeker, None)
        elif move == "give up":
            if seekers:
                seekers.pop(0).close()
        else:
            (partition, campaign, template), span = move
            key = RowKey("t1", campaign, template)
            if span is None:
                view.apply(partition, key.encode(), None)
            else:
                put(view, key, {"contacts": 1}, partition, next_offset, tuple(span))
    for seeker in seekers:
        at_once(seeker)
    at_once(view.narrowing("t1"))

    shown = {found.campaign: (found.first_ms, found.last_ms) for found in view.recent("t1")}
    expected: dict[str, tuple[int, int]] = {}
    for partition in range(PARTITIONS):
        for key, row in view.rows(partition).items():
            first_ms, last_ms = expected.get(key.campaign, (row.first_ms, row.last_ms))
            expected[key.campaign] = min(first_ms, row.first_ms), max(last_ms, row.last_ms)
    assert shown == expected
    assert list(shown) == sorted(shown, key=lambda campaign: (-shown[campaign][1], campaign))
