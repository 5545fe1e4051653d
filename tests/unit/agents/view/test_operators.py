"""Operators are shown as the PBX last described them, by the clock, and to their own tenants only."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.clock import unix_ms
from tally.agents.view.answer import rfc_3339
from tally.agents.view.model import View
from tally.agents.view.operator_rows import Operator
from tally.agents.view.operators import operator_answer, state_of
from tally.agents.view.operators_page import OperatorsPage, OperatorsQuery, operators_page
from tally.schemas.call_facts import MemberSeen
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template, join_parts
from tally.schemas.operator_row import Membership
from tally.tables.families.operator import OperatorFamily
from tally.tables.pieces import at_once
from tally.tables.rules import Rules
from tests.support.view_rows import put, put_operator

NOW_S = 1_795_350_900
NOW_MS = NOW_S * 1000
EVERYBODY = OperatorsQuery()
SOME_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
QUEUES = SOME_TEXT.filter(bool)
MEMBERSHIPS = st.builds(
    Membership,
    queue=st.sampled_from(["sales", "support"]),
    status=st.integers(0, 9),
    since_ms=st.integers(1, NOW_MS),
    in_call=st.integers(0, 1),
    last_call_s=st.integers(NOW_S - 90, NOW_S + 5),
    wrapup_s=st.sampled_from([0, 30, 60]),
    reason=st.sampled_from([None, "", "lunch"]),
)


def member(status: int = 1, reason: str | None = None, **more: int) -> Membership:
    return Membership("sales", status, reason=reason, **more)


def counts_of(queue: str, paused: str | None = None, **numbers: int) -> dict[str, int]:
    described = {"memberships." + join_parts(queue, name).decode(): n for name, n in numbers.items()}
    if paused is not None:
        described["memberships." + join_parts(queue, f"paused={paused}").decode()] = 1
    return described


def page_of(
    view: View, query: OperatorsQuery = EVERYBODY, tenant: str = "t1", now_ms: int = NOW_MS
) -> OperatorsPage:
    return at_once(operators_page(view.operators, tenant, query, now_ms))


def ask(view: View, tenant: str = "t1") -> list[Any]:
    return list(orjson.loads(page_of(view, tenant=tenant).entries))


@pytest.mark.parametrize(
    ("memberships", "state"),
    [
        ([], "unavailable"),
        ([member(5, in_call=1), member(4, reason="lunch")], "unavailable"),
        ([member(5), member(1)], "available"),
        ([member(5), member(1, in_call=1)], "in_call"),
        *(([member(6), member(status)], "in_call") for status in (2, 3, 7, 8)),
        ([member(6, reason="lunch"), member(1, reason="lunch")], "ringing"),
        ([member(1, reason="lunch", last_call_s=NOW_S, wrapup_s=9), member(0, reason="")], "paused"),
        ([member(1, reason="lunch"), member(1)], "available"),
        ([member(1, reason="lunch"), member(1, last_call_s=NOW_S - 8, wrapup_s=9)], "wrap_up"),
        ([member(1, last_call_s=NOW_S - 9, wrapup_s=9)], "available"),
        ([member(1, last_call_s=NOW_S + 9)], "available"),
        ([member(0)], "available"),
        ([member(9)], "available"),
    ],
)
def test_the_first_state_that_applies_counts(memberships: list[Membership], state: str) -> None:
    assert state_of(memberships, NOW_MS)[0] == state
    assert state_of(memberships[::-1], NOW_MS)[0] == state


@given(st.lists(MEMBERSHIPS, max_size=4))
def test_the_order_of_queues_does_not_matter_and_a_state_is_shown_by_some_of_them(
    memberships: list[Membership],
) -> None:
    state, showing = state_of(memberships, NOW_MS)
    backwards, also_showing = state_of(memberships[::-1], NOW_MS)
    assert backwards == state
    assert list(also_showing) == list(showing)[::-1]
    assert (showing == []) == (memberships == [])


@pytest.mark.parametrize(
    ("memberships", "since_ms", "reason"),
    [
        ([], None, None),
        ([member(1, since_ms=NOW_MS - 5), member(1, since_ms=NOW_MS - 7)], NOW_MS - 5, None),
        ([member(2, since_ms=NOW_MS - 7), member(1, since_ms=NOW_MS - 5)], NOW_MS - 7, None),
        ([member(1, "lunch", since_ms=8), member(1, "coffee", since_ms=9)], 9, "coffee"),
        ([member(1, "", since_ms=8)], 8, None),
        ([member(2, "lunch", since_ms=8)], 8, None),
        ([member(1, since_ms=NOW_MS, last_call_s=NOW_S - 8, wrapup_s=9)], NOW_MS - 8000, None),
        # Nobody says that a wrap-up ended: the clock does.
        ([member(1, since_ms=NOW_MS - 20_000, last_call_s=NOW_S - 20, wrapup_s=9)], NOW_MS - 11_000, None),
        ([member(1, since_ms=NOW_MS, last_call_s=NOW_S - 20, wrapup_s=9)], NOW_MS, None),
        ([member(1, since_ms=1, last_call_s=10**14, wrapup_s=9)], None, None),
    ],
)
def test_since_is_the_latest_news_of_the_state_and_its_reason_that_of_a_pause(
    memberships: list[Membership], since_ms: int | None, reason: str | None
) -> None:
    answer = operator_answer(Operator("pbx01", "PJSIP/201", "", tuple(memberships), {}), NOW_MS)
    assert answer["since"] == (None if since_ms is None else rfc_3339(since_ms))
    assert answer["reason"] == reason


def test_an_operators_answer_says_everything_of_its_rows() -> None:
    view = View(2)
    busy = {"connects": 3, "talk_ms": 90, "memberships.name=Ann Lee": 1}
    sales = counts_of("sales", status=2, since_ms=NOW_MS, in_call=1, last_call_s=NOW_S - 60, wrapup_s=15)
    put_operator(view, "t1", "PJSIP/201", busy | sales | counts_of("a/b", "tea/10%", status=1, since_ms=7))
    put_operator(view, "t1", "PJSIP/201", {"connects": 1, "ring_no_answer": 2}, partition=1)
    assert ask(view) == [
        {
            **{"pbx": "pbx01", "operator": "PJSIP/201", "name": "Ann Lee"},
            **{"state": "in_call", "reason": None, "since": rfc_3339(NOW_MS)},
            "queues": [
                {
                    **{"queue": "a/b", "state": "paused", "paused": True, "reason": "tea/10%"},
                    "since": "1970-01-01T00:00:00.007Z",
                },
                {
                    **{"queue": "sales", "state": "in_call", "paused": False, "reason": None},
                    "since": rfc_3339(NOW_MS),
                },
            ],
            "counts": {"connects": 4, "ring_no_answer": 2, "talk_ms": 90},
        }
    ]


@given(
    queue=QUEUES,
    name=SOME_TEXT,
    reason=st.none() | SOME_TEXT,
    interface=SOME_TEXT.filter(bool),
    status=st.integers(0, 9),
    removed=st.booleans(),
)
def test_what_the_family_of_operators_counts_is_what_is_shown(
    queue: str, name: str, reason: str | None, interface: str, status: int, removed: bool
) -> None:
    paused = reason is not None
    seen = MemberSeen(
        interface, queue, NOW_MS * 1000, "t1", name, status, paused, reason or "", False, 0, 0, removed
    )
    family = OperatorFamily()
    parts = family.contribution(join_parts("p/1") + b"/x", family.merge(None, [seen]), Rules())
    view = View(1)
    for part in parts:
        put(view, part.row, part.counts)
    (operator,) = ask(view)
    assert (operator["pbx"], operator["operator"], operator["name"]) == ("p/1", interface, name)
    shown = [(one["queue"], one["paused"], one["reason"]) for one in operator["queues"]]
    assert shown == ([] if removed else [(queue, paused, reason or None)])
    assert operator["since"] == (None if removed else rfc_3339(NOW_MS))


def test_operators_are_sorted_by_pbx_and_interface() -> None:
    view = View(1)
    for pbx, interface in (("b", "1"), ("a/b", "2"), ("a", "9"), ("a", "10"), ("b", "0")):
        put_operator(view, "t1", interface, {"connects": 1}, pbx=pbx)
    found = [(one["pbx"], one["operator"]) for one in ask(view)]
    assert found == sorted(found)
    assert len(found) == 5


def test_an_operator_is_shown_to_the_tenants_that_have_a_row_of_it_and_to_no_other() -> None:
    view = View(1)
    put_operator(view, "t1", "A", {"memberships.name=Ann": 1} | counts_of("q1", status=6, since_ms=1))
    put_operator(view, "t2", "A", {"connects": 1})
    put_operator(view, "", "B", {"memberships.name=Bob": 1} | counts_of("q2", status=2, since_ms=1))
    put_operator(view, "t3", "C", {})
    shown = {
        tenant: [
            (one["operator"], one["name"], one["state"], one["queues"] != []) for one in ask(view, tenant)
        ]
        for tenant in ("t1", "t2", "t3", "t4")
    }
    # A membership that was told for one tenant is none of another's business.
    assert shown == {
        "t1": [("A", "Ann", "ringing", True)],
        "t2": [("A", "", "unavailable", False)],
        "t3": [],
        "t4": [],
    }


def test_memberships_that_were_told_without_a_tenant_are_those_of_every_tenant_with_a_row() -> None:
    view = View(2)
    for tenant in ("t1", "t2"):
        put_operator(view, tenant, "A", {"connects": 2}, partition=1)
    assert [one["state"] for one in ask(view)] == ["unavailable"]
    ann = {"memberships.name=Ann": 1, "connects": 50}
    for offset, (status, state) in enumerate([(6, "ringing"), (2, "in_call"), (1, "available")], start=2):
        put_operator(view, "", "A", ann | counts_of("q1", status=status, since_ms=1), next_offset=offset)
        for tenant in ("t1", "t2"):
            (operator,) = ask(view, tenant)
            assert (operator["name"], operator["state"]) == ("Ann", state)
            assert operator["counts"]["connects"] == 2
    put_operator(view, "t1", "A", {"memberships.name=Ann": 1}, next_offset=9)
    assert [ask(view, tenant)[0]["state"] for tenant in ("t1", "t2")] == ["unavailable", "available"]


def test_an_operator_of_whom_nothing_is_counted_any_more_is_not_shown() -> None:
    view = View(1)
    put_operator(view, "t1", "A", {"connects": 2})
    put_operator(view, "t1", "B", {"connects": 2})
    assert len(ask(view)) == 2
    put_operator(view, "t1", "A", {}, next_offset=2)
    assert [one["operator"] for one in ask(view)] == ["B"]
    view.apply(0, RowKey("t1", "", Template("pbx01", "B")).encode(), None)
    assert ask(view) == []
    assert page_of(view) == OperatorsPage([], None)


def test_a_description_that_this_version_does_not_know_is_not_shown() -> None:
    view = View(1)
    known = counts_of("q1", status=1, since_ms=1, invented=3)
    put_operator(view, "t1", "A", known | {"memberships.invented": 1, "memberships.a/b/c": 1, "invented": 1})
    (operator,) = ask(view)
    assert [one["queue"] for one in operator["queues"]] == ["q1"]


@given(
    st.sets(st.tuples(st.sampled_from("ab"), st.integers(1, 12)), max_size=12),
    st.integers(1, 5),
    st.booleans(),
)
def test_pages_one_after_the_other_list_each_operator_once_in_order(
    known: set[tuple[str, int]], limit: int, only_busy: bool
) -> None:
    view = View(1)
    for pbx, n in known:
        put_operator(view, "t1", f"{n:02}", counts_of("q", status=1 + n % 2, since_ms=1), pbx=pbx)
    states, after, found = frozenset({"in_call"} if only_busy else ()), None, list[tuple[str, int]]()
    while True:
        page = page_of(view, OperatorsQuery(states=states, after=after, limit=limit))
        entries = orjson.loads(page.entries)
        found += [(one["pbx"], int(one["operator"])) for one in entries]
        assert len(entries) == limit or page.following is None
        if (after := page.following) is None:
            break
    assert found == sorted((pbx, n) for pbx, n in known if n % 2 or not only_busy)


def test_pbx_and_state_choose_operators() -> None:
    view = View(1)
    for pbx, interface, status in (("a", "1", 1), ("a", "2", 2), ("b", "1", 6)):
        put_operator(view, "t1", interface, counts_of("q", status=status, since_ms=1), pbx=pbx)

    def found(pbxs: set[str], states: set[str]) -> list[str]:
        chosen = orjson.loads(page_of(view, OperatorsQuery(frozenset(pbxs), frozenset(states))).entries)
        return [one["pbx"] + one["operator"] for one in chosen]

    assert found({"a"}, set()) == ["a1", "a2"]
    assert found(set(), {"in_call", "ringing"}) == ["a2", "b1"]
    assert found({"a"}, {"ringing"}) == []


def test_a_kept_entry_is_made_anew_when_its_row_changes_or_its_wrap_up_ends_even_if_clocks_go_back() -> None:
    view = View(1)

    def state(at_ms: int) -> tuple[str, str]:
        (operator,) = orjson.loads(page_of(view, now_ms=at_ms).entries)
        return operator["state"], operator["queues"][0]["state"]

    put_operator(view, "t1", "A", counts_of("q", status=1, since_ms=1, last_call_s=NOW_S - 5, wrapup_s=15))
    expected = {NOW_MS: "wrap_up", NOW_MS + 9999: "wrap_up", NOW_MS + 10_000: "available"}
    for at_ms in (*expected, *reversed(expected)):
        assert state(at_ms) == (expected[at_ms],) * 2
    put_operator(view, "t1", "A", counts_of("q", status=2, since_ms=1), next_offset=2)
    assert state(at_ms) == ("in_call", "in_call")


@pytest.mark.alone
def test_five_hundred_operators_are_read_in_less_than_20_ms() -> None:
    view = View(1)
    for n in range(500):
        queues = [counts_of(f"queue-{q}", status=1, since_ms=NOW_MS - n, wrapup_s=15) for q in range(3)]
        described = {name: value for queue in queues for name, value in queue.items()}
        put_operator(view, "t1", f"PJSIP/{n}", {"connects": 1, "memberships.name=Ann": 1} | described)

    def seconds() -> float:
        began_s = time.perf_counter()
        assert page_of(view, now_ms=unix_ms()).entries.count(b'"operator"') == 500
        return time.perf_counter() - began_s

    assert min(seconds() for _ in range(5)) < 0.02
