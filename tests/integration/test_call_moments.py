"""Calls with only some of their events: the rest is still to come or lost.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

import pytest

from tests.support.call_judges import Recount
from tests.support.call_packets import (
    CUSTOMER,
    OPERATOR,
    UP,
    Channel,
    Event,
    agent,
    ami,
    answers,
    born,
    dial,
    enter,
    fully_booted,
    hangup,
    leave,
    listed,
    local,
    request,
    response,
    rings,
    send,
    state,
)

LOCAL_1, LOCAL_2 = local("100@dial-01", "a", "a2")
TRUNK = Channel("trunk", "PJSIP/carrier-00000003", "a")
ONLY_ASKED = {"requested": 1}
DIALLED = {"requested": 1, "attempted": 1}


def test_events_that_are_dropped_show_no_channel(recount: Recount) -> None:
    """Producers may leave them out, so that no number can depend on them."""
    noise = ami(0, "Newexten", CUSTOMER.snapshot(state=6), Extension="s", Application="Dial")

    assert recount(send(), noise)["c1"] == ONLY_ASKED


def test_a_local_that_has_not_dialled_yet_is_no_dial_towards_the_customer(recount: Recount) -> None:
    begun = [send(), born(0, LOCAL_1), born(0, LOCAL_2), state(0.1, LOCAL_1, 6)]

    assert recount(*begun)["c1"] == ONLY_ASKED
    assert recount(*begun, *rings(0.2, TRUNK, by=LOCAL_2))["c1"] == DIALLED


def test_originate_response_4_behind_a_local_is_the_dialplans(recount: Recount) -> None:
    begun = [send(), born(0, LOCAL_1), born(0, LOCAL_2), response(0.1, 4, uniqueid="a")]
    dialled = [*begun, *rings(0.2, TRUNK, by=LOCAL_2)]
    over = [hangup(9, one) for one in (TRUNK, LOCAL_2, LOCAL_1)]

    assert recount(*begun)["c1"] == recount(*dialled)["c1"] == DIALLED
    assert recount(*dialled, *over)["c1"] == {**DIALLED, "call_failed": 1, "hangup_causes": {"16": 1}}


def test_of_the_legs_behind_a_local_another_local_that_dialled_nothing_is_one(recount: Recount) -> None:
    three, four = local("200@dial-02", "a3", "a4", "a")
    stats = recount(
        send(),
        *(born(0, LOCAL_1), born(0, LOCAL_2), *rings(0.1, TRUNK, by=LOCAL_2)),
        *(*rings(0.2, three, by=LOCAL_2), born(0.3, four)),
        *(
            hangup(3, four),
            hangup(3, three, 20),
            hangup(4, TRUNK, 17),
            hangup(5, LOCAL_2),
            hangup(5, LOCAL_1),
        ),
    )

    assert stats["c1"] == {**DIALLED, "unreachable": 1, "hangup_causes": {"20": 1}}


def test_whoever_is_dialled_once_the_customer_is_up_is_an_operator(recount: Recount) -> None:
    stats = recount(
        *(send(), born(0, LOCAL_1), born(0, LOCAL_2)),
        *(*rings(0.1, TRUNK, by=LOCAL_2), *answers(2, TRUNK, by=LOCAL_2)),
        *(*rings(3, OPERATOR, by=LOCAL_2), enter(5, TRUNK), enter(5, OPERATOR), leave(8, OPERATOR)),
    )

    assert stats["c1"] == {**UP, "connects": 1, "talk_ms": 3_000}


def test_who_is_in_one_bridge_is_connected_though_the_answer_was_seen_later(recount: Recount) -> None:
    early = ami(1, "BridgeEnter", [("BridgeUniqueid", "b1")], CUSTOMER.snapshot(state=4))
    stats = recount(
        send(), *rings(0, CUSTOMER), early, enter(1, OPERATOR), *answers(3, CUSTOMER), leave(8, OPERATOR)
    )

    assert stats["c1"] == {**UP, "connects": 1, "talk_ms": 7_000}


def test_a_leg_that_hung_up_is_decided_though_the_first_channel_is_gone(recount: Recount) -> None:
    begun = [send(), born(0, LOCAL_1), born(0, LOCAL_2), *rings(0.1, TRUNK, by=LOCAL_2), hangup(4, TRUNK, 17)]
    busy = {**DIALLED, "hangup_causes": {"17": 1}}

    assert recount(*begun)["c1"] == busy
    assert recount(*begun, fully_booted(100, 10))["c1"] == {**busy, "busy": 1}


def test_a_change_of_state_alone_does_not_bring_back_who_was_not_on_a_list(recount: Recount) -> None:
    gone = [send(), *rings(0, CUSTOMER), *listed(5), state(6, CUSTOMER, 5)]

    assert recount(*gone)["c1"] == {**DIALLED, "ended_unknown": 1}
    assert recount(*gone, request(7, CUSTOMER))["c1"] == DIALLED


ASKED: dict[str, tuple[Event, str]] = {
    "by our own side as the dial ended": (request(2.9995, CUSTOMER), "call_cancelled"),
    "by the far side just before": (
        ami(2.9995, "HangupRequest", CUSTOMER.snapshot(), Cause=16),
        "no_answer",
    ),
}


@pytest.mark.parametrize(("asked_for", "outcome"), ASKED.values(), ids=ASKED)
def test_our_own_hanging_up_asks_without_a_cause(recount: Recount, asked_for: Event, outcome: str) -> None:
    ended = [dial("DialEnd", 3, CUSTOMER, None, "NOANSWER"), hangup(3.1, CUSTOMER, 0), response(3.2, 0)]
    stats = recount(send(), *rings(0, CUSTOMER), asked_for, *ended)

    assert stats["c1"] == {**DIALLED, outcome: 1, "hangup_causes": {"0": 1}}


def test_an_operator_who_let_somebody_else_of_the_call_ring_is_not_the_attempts(recount: Recount) -> None:
    other = Channel("other", "", "a")
    stats = recount(
        *(send(), *rings(0, CUSTOMER), born(1, other)),
        agent(2, "RingNoAnswer", other, OPERATOR, "PJSIP/201"),
    )

    assert stats["c1"] == DIALLED
    assert stats.operators == {}
