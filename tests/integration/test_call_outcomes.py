"""The result of an attempt, and the leg that decides it.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

import pytest

from tests.support.call_judges import Counters, Recount
from tests.support.call_packets import (
    CUSTOMER,
    OPERATOR,
    UP,
    Channel,
    Event,
    ami,
    answers,
    born,
    dial,
    hangup,
    local,
    request,
    response,
    rings,
    send,
    talk,
)


def test_no_packets_are_no_rows(recount: Recount) -> None:
    assert recount().everything == ([], [], [])


def test_an_answered_call_counts_at_once_and_its_whole_milliseconds_at_its_hangup(recount: Recount) -> None:
    running = [send(), *rings(0, CUSTOMER), *answers(2, CUSTOMER)]

    assert recount(*running)["c1"] == UP
    ended = recount(*running, hangup(6.9999, CUSTOMER))
    assert ended["c1"] == {**UP, "connected_ms": 4_999, "hangup_causes": {"16": 1}}
    assert ended.scripts == {("c1", "offer"): ended["c1"]}
    assert ended.tenants == {"t1"}


def test_a_requested_attempt_without_any_packet_is_only_requested(recount: Recount) -> None:
    assert recount(send())["c1"] == {"requested": 1}


def test_a_dialled_leg_is_attempted_and_has_no_outcome_until_it_hangs_up(recount: Recount) -> None:
    assert recount(send(), *rings(0, CUSTOMER))["c1"] == {"requested": 1, "attempted": 1}


def asked(at: float, cause: int | str, leg: Channel = CUSTOMER) -> Event:
    """Return a HangupRequest with a cause; an empty one is none."""
    return ami(at, "HangupRequest", leg.snapshot(), Cause=cause)


def by_channel(leg: Channel, campaign: object) -> Event:
    """Return a send result without an ActionID: no OriginateResponse is to come."""
    return send(contact=leg.uniqueid, campaign=campaign, call={"channel_id": leg.uniqueid})


CAUSES = {
    17: "busy",
    21: "rejected",
    **dict.fromkeys((1, 3, 20, 22, 28), "unreachable"),
    **dict.fromkeys((34, 38, 42), "congestion"),
    **dict.fromkeys((18, 19), "no_answer"),
    **dict.fromkeys((0, 16, 27, 127), "call_failed"),
}


def test_an_unanswered_leg_is_named_by_its_cause(recount: Recount) -> None:
    legs = {cause: Channel(f"x{cause}") for cause in CAUSES}
    stats = recount(
        *(by_channel(leg, cause) for cause, leg in legs.items()),
        *(event for leg in legs.values() for event in rings(0, leg)),
        *(hangup(3, leg, cause) for cause, leg in legs.items()),
    )

    known = {"requested": 1, "attempted": 1}
    assert stats.campaigns == {
        str(cause): {**known, outcome: 1, "hangup_causes": {str(cause): 1}}
        for cause, outcome in CAUSES.items()
    }


def test_a_cause_beyond_the_list_is_other(recount: Recount) -> None:
    stats = recount(
        *(send(contact=one) for one in ("a", "b")),
        *(event for one in ("a", "b") for event in rings(0, Channel(one))),
        *(hangup(3, Channel("a"), 128), hangup(3, Channel("b"), "")),
    )

    assert stats["c1"]["hangup_causes"] == {"other": 2}


STATUSES = {
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "CANCEL": "call_cancelled",
    "ABORT": "call_cancelled",
    "CONGESTION": "congestion",
    "CHANUNAVAIL": "unreachable",
    "CONTINUE": "call_failed",
}


def test_a_leg_whose_cause_says_nothing_is_named_by_its_first_dial_end(recount: Recount) -> None:
    legs = {status: Channel(status) for status in STATUSES}
    stats = recount(
        *(by_channel(leg, status) for status, leg in legs.items()),
        *(event for leg in legs.values() for event in rings(0, leg)),
        *(dial("DialEnd", 3, leg, None, status) for status, leg in legs.items()),
        *(dial("DialEnd", 3.1, leg, None, "BUSY") for leg in legs.values()),
        *(hangup(4, leg, 16) for leg in legs.values()),
    )

    assert {name: row.get(STATUSES[name]) for name, row in stats.campaigns.items()} == dict.fromkeys(
        STATUSES, 1
    )


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [(3, "no_answer"), (5, "busy"), (8, "congestion"), (0, "call_failed"), (1, "call_failed")],
)
def test_where_only_the_originate_response_is_there_its_reason_decides(
    recount: Recount, reason: int, outcome: str
) -> None:
    stats = recount(send(), response(3, reason))

    attempted = {"attempted": 1} if reason else {}
    assert stats["c1"] == {"requested": 1, **attempted, outcome: 1}


def test_originate_response_4_alone_is_an_answer(recount: Recount) -> None:
    assert recount(send(), response(3, 4, uniqueid="elsewhere"))["c1"] == UP


def test_an_originate_that_timed_out_is_no_answer_before_its_dial_status(recount: Recount) -> None:
    """Before 22.8 such a leg hangs up with cause 0."""
    stats = recount(
        send(),
        *rings(0, CUSTOMER),
        dial("DialEnd", 4, CUSTOMER, None, "CANCEL"),
        *(hangup(4.1, CUSTOMER, 0), response(4.2, 3)),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "no_answer": 1, "hangup_causes": {"0": 1}}


CANCELLED: dict[str, tuple[list[Event], str]] = {
    "hung up by the dialler while it rang": ([], "call_cancelled"),
    "asked for after the dial had ended": ([request(3.05, CUSTOMER)], "call_cancelled"),
    "asked for by our own side as it ended": ([request(2.9995, CUSTOMER)], "call_cancelled"),
    "asked for by the far side before": ([request(2.9, CUSTOMER)], "no_answer"),
    "asked for with a cause after the dial had ended": ([asked(3.0001, 26)], "call_cancelled"),
    "asked for with a cause before": ([asked(2.9999, 26)], "no_answer"),
}


@pytest.mark.parametrize("cause", [0, 16, 26, 27, 31, 127, ""])
@pytest.mark.parametrize(("more", "outcome"), CANCELLED.values(), ids=CANCELLED)
def test_a_ringing_leg_that_nobody_at_the_far_side_ended_is_cancelled(
    recount: Recount, more: list[Event], outcome: str, cause: int | str
) -> None:
    stats = recount(
        send(),
        *rings(0, CUSTOMER),
        dial("DialEnd", 3, CUSTOMER, None, "NOANSWER"),
        *more,
        *(hangup(3.1, CUSTOMER, cause), response(3.2, 0)),
    )

    key = "other" if cause == "" else str(cause)
    assert stats["c1"] == {"requested": 1, "attempted": 1, outcome: 1, "hangup_causes": {key: 1}}


@pytest.mark.parametrize("asked_with", [None, "the cause"])
def test_our_own_hanging_up_is_cancelled_whatever_its_cause(recount: Recount, asked_with: str | None) -> None:
    """Asterisk makes the DialStatus from the cause that the dialler gave its Hangup."""
    legs = {cause: Channel(f"x{cause}") for cause in range(1, 128)}
    statuses = {17: "BUSY", 34: "CONGESTION", 3: "CHANUNAVAIL", 20: "CHANUNAVAIL"}
    stats = recount(
        *(send(contact=leg.uniqueid) for leg in legs.values()),
        *(event for leg in legs.values() for event in rings(0, leg)),
        *(dial("DialEnd", 3, leg, None, statuses.get(cause, "NOANSWER")) for cause, leg in legs.items()),
        *(asked(3.00002, cause if asked_with else "", leg) for cause, leg in legs.items()),
        *(hangup(3.0005, leg, cause) for cause, leg in legs.items()),
        *(response(3.001, 0, f"act-{leg.uniqueid}", leg.uniqueid) for leg in legs.values()),
    )

    assert stats["c1"]["call_cancelled"] == len(legs)
    assert stats["c1"]["hangup_causes"] == {str(cause): 1 for cause in legs}


FAR_SIDES: dict[str, tuple[list[Event], int, int, str]] = {
    "busy": ([dial("DialEnd", 3, CUSTOMER, None, "BUSY"), asked(3.00003, 17)], 17, 5, "busy"),
    "rejected": ([asked(2.99997, 21), dial("DialEnd", 3, CUSTOMER, None, "NOANSWER")], 21, 0, "rejected"),
    "no room": (
        [dial("DialEnd", 3, CUSTOMER, None, "CONGESTION"), asked(3.00002, 34)],
        *(34, 8, "congestion"),
    ),
    "a dead trunk": (
        [dial("DialEnd", 3, CUSTOMER, None, "CONGESTION"), asked(3.0001, "")],
        0,
        8,
        "congestion",
    ),
    "a timeout": ([asked(3, 19)], 19, 3, "no_answer"),
    "a timeout without a cause": ([asked(3, "")], 0, 3, "no_answer"),
    "busy, and nobody saw who asked": ([], 17, 0, "busy"),
}


@pytest.mark.parametrize(("ended", "cause", "reason", "outcome"), FAR_SIDES.values(), ids=FAR_SIDES)
def test_what_the_far_side_ended_is_not_cancelled(
    recount: Recount, ended: list[Event], cause: int, reason: int, outcome: str
) -> None:
    stats = recount(
        send(), *rings(0, CUSTOMER), *ended, hangup(3.01, CUSTOMER, cause), response(3.02, reason)
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, outcome: 1, "hangup_causes": {str(cause): 1}}


def test_our_own_hanging_up_before_it_rang_is_cancelled(recount: Recount) -> None:
    stats = recount(
        *(send(), born(0, CUSTOMER), dial("DialBegin", 0.1, CUSTOMER, None)),
        *(dial("DialEnd", 1, CUSTOMER, None, "NOANSWER"), request(1.0001, CUSTOMER)),
        *(hangup(1.001, CUSTOMER, 16), response(1.1, 0)),
    )

    assert stats["c1"]["call_cancelled"] == 1


@pytest.mark.parametrize("cause", [0, 16, 17, 19, 26, 127])
@pytest.mark.parametrize("status", ["CANCEL", "ABORT"])
def test_a_dial_that_the_dialplan_took_back_is_cancelled_whatever_the_cause(
    recount: Recount, status: str, cause: int
) -> None:
    one, two = local("100@dial-01", "a", "a2")
    trunk = Channel("trunk", "PJSIP/carrier-00000003", "a")
    stats = recount(
        send(),
        *(born(0, one), born(0, two), *rings(0.2, trunk, by=two), dial("DialEnd", 3, trunk, two, status)),
        *(asked(3.0001, cause or "", trunk), hangup(3.001, trunk, cause)),
        *(hangup(3.1, two, cause), hangup(3.2, one, cause), response(3.3, 0)),
    )

    assert stats["c1"]["call_cancelled"] == 1


def test_where_no_originate_response_is_to_come_our_own_asking_is_enough(recount: Recount) -> None:
    def ended(*ends: Event) -> Counters:
        return recount(by_channel(CUSTOMER, "c1"), *rings(0, CUSTOMER), *ends, hangup(3.01, CUSTOMER, 16))[
            "c1"
        ]

    no_answer = dial("DialEnd", 3, CUSTOMER, None, "NOANSWER")
    assert ended(no_answer, request(3.0001, CUSTOMER))["call_cancelled"] == 1
    assert ended(no_answer)["no_answer"] == 1
    assert ended(request(3, CUSTOMER))["call_failed"] == 1


def test_an_attempt_asked_for_by_action_id_waits_for_what_the_cause_leaves_to_the_reason(
    recount: Recount,
) -> None:
    def ended(cause: int, *more: Event) -> Counters:
        return recount(
            send(),
            *rings(0, CUSTOMER),
            dial("DialEnd", 3, CUSTOMER, None, "NOANSWER"),
            hangup(3.1, CUSTOMER, cause),
            *more,
        )["c1"]

    assert ended(16) == {"requested": 1, "attempted": 1, "hangup_causes": {"16": 1}}
    assert ended(17)["busy"] == 1
    assert ended(16, response(3.2, 3))["no_answer"] == 1
    assert ended(16, response(3.2, 0))["call_cancelled"] == 1
    assert ended(16, response(3.2, 5))["no_answer"] == 1


@pytest.mark.parametrize("reason", ["", "none", "-1"])
def test_an_originate_response_without_a_reason_says_nothing_of_an_outcome(
    recount: Recount, reason: str
) -> None:
    silent = response(2.9, reason)

    assert recount(send(), silent)["c1"] == {"requested": 1}
    assert recount(send(), silent, response(3, 5))["c1"] == {"requested": 1, "attempted": 1, "busy": 1}
    told = [send(call={"action_id": "act-a"}), *rings(0, CUSTOMER), *answers(2, CUSTOMER)]
    assert recount(*told, response(2.1, reason, uniqueid="a"))["c1"] == UP


DIALS = ("DialBegin", "DialState", "DialEnd", "AgentCalled", "AgentConnect", "AgentRingNoAnswer")


@pytest.mark.parametrize("event", DIALS)
@pytest.mark.parametrize("status", ["ANSWER", "BUSY", "CANCEL", "RINGING"])
def test_a_dial_without_a_destination_says_nothing_of_the_caller(
    recount: Recount, event: str, status: str
) -> None:
    silent = ami(1, event, CUSTOMER.snapshot(), DialStatus=status, Queue="sales", Interface="PJSIP/201")
    stats = recount(by_channel(CUSTOMER, "c1"), born(0, CUSTOMER), silent, hangup(3, CUSTOMER, 16))

    assert stats["c1"] == {"requested": 1, "attempted": 1, "call_failed": 1, "hangup_causes": {"16": 1}}


def test_a_leg_that_never_rang_is_not_cancelled(recount: Recount) -> None:
    stats = recount(send(), born(0, CUSTOMER), hangup(1, CUSTOMER, 0), response(1.1, 0))

    assert stats["c1"]["call_failed"] == 1


def test_the_earliest_originate_response_counts(recount: Recount) -> None:
    assert recount(send(), response(4, 5), response(3, 8))["c1"]["congestion"] == 1


def test_a_phantom_channel_is_ignored_altogether(recount: Recount) -> None:
    phantom = Channel("a", "OutgoingSpoolFailed")
    variables = ("CAMPAIGN_ID=c1", "CONTACT_ID=z", "TENANT_ID=t1")
    stats = recount(send(), born(0, phantom, *variables), hangup(1, phantom, 0), response(1, 0))

    assert stats["c1"] == {"requested": 1, "call_failed": 1}


def test_through_a_local_the_trunk_leg_is_the_customers(recount: Recount) -> None:
    one, two = local("100@dial-01", "a", "a2")
    trunk = Channel("trunk", "PJSIP/carrier-00000003", "a")
    stats = recount(
        send(),
        *(born(0, one), born(0, two), dial("DialBegin", 0.1, one, None)),
        *(*rings(0.2, trunk, by=two), dial("DialEnd", 3, trunk, two, "BUSY")),
        *(hangup(3, trunk, 17), hangup(3.1, two, 0), hangup(3.2, one, 0), response(3.3, 0)),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}


def test_nested_locals_are_one_attempt_answered_by_the_leg_at_their_end(recount: Recount) -> None:
    (one, two), (three, four) = local("100@dial-01", "a", "a2"), local("100@out-02", "a3", "a4", "a")
    trunk = Channel("trunk", "PJSIP/carrier-00000003", "a")
    stats = recount(
        send(),
        *(born(0, each) for each in (one, two, three, four)),
        *(*rings(0.1, three, by=two), *rings(0.2, trunk, by=four)),
        *(*answers(5, trunk, by=four), *answers(5.5, three, by=two), *answers(6, one)),
        *(hangup(15.2, each) for each in (trunk, four, three, two, one)),
    )

    assert stats["c1"] == {**UP, "connected_ms": 10_200, "hangup_causes": {"16": 1}}


def test_a_local_that_dialled_nothing_is_the_customers_leg_itself(recount: Recount) -> None:
    one, two = local("100@dial-01", "a", "a2")
    stats = recount(send(), born(0, one), born(0, two), hangup(1, two, 0), hangup(1, one, 20))

    assert stats["c1"] == {"requested": 1, "attempted": 1, "unreachable": 1, "hangup_causes": {"20": 1}}


def test_of_several_legs_that_were_dialled_the_first_that_came_up_is_the_customers(recount: Recount) -> None:
    one, two = local("100@dial-01", "a", "a2")
    home, mobile = Channel("home", "", "a"), Channel("mobile", "", "a")
    dialled = [send(), born(0, one), born(0, two), *rings(0.1, mobile, by=two), *rings(0.2, home, by=two)]
    over = [hangup(10, two), hangup(10, one)]
    picked_up = recount(
        *dialled, *answers(4, mobile, by=two), hangup(4, home, 26), hangup(9.5, mobile), *over
    )
    missed = recount(*dialled, hangup(9, mobile, 17), hangup(9, home, 21), *over)
    undecided = recount(*dialled, hangup(9, home, 21), *over)

    assert picked_up["c1"] == {**UP, "connected_ms": 5_500, "hangup_causes": {"16": 1}}
    assert missed["c1"] == {"requested": 1, "attempted": 1, "rejected": 1, "hangup_causes": {"21": 1}}
    assert undecided["c1"] == {"requested": 1, "attempted": 1, "hangup_causes": {"21": 1}}


SECOND = {"action_id": "act-a", "channel_id": "op", "customer_leg": "second"}
CALLED = Channel("cust", "PJSIP/carrier-00000009", "op")


def test_with_click_to_call_the_second_leg_is_the_customers_and_the_first_the_operators(
    recount: Recount,
) -> None:
    stats = recount(
        send(call=SECOND),
        *(*rings(0, OPERATOR), *answers(2, OPERATOR), response(2, 4, uniqueid="op")),
        *(*rings(2.5, CALLED, by=OPERATOR), *answers(6, CALLED, by=OPERATOR)),
        *talk(6.1, 10, OPERATOR, CALLED),
        *(hangup(10.5, CALLED), hangup(11, OPERATOR)),
    )

    expected = {"connected_ms": 4_500, "talk_ms": 3_900, "connects": 1, "hangup_causes": {"16": 1}}
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_ms": 3_900}}


def test_with_click_to_call_the_customer_may_be_busy_though_the_operator_answered(recount: Recount) -> None:
    stats = recount(
        send(call=SECOND),
        *(*rings(0, OPERATOR), *answers(2, OPERATOR), response(2, 4, uniqueid="op")),
        *(*rings(2.5, CALLED, by=OPERATOR), hangup(4, CALLED, 17), hangup(5, OPERATOR)),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}


def test_with_click_to_call_an_operator_who_never_picked_up_attempted_nobody(recount: Recount) -> None:
    stats = recount(
        send(call=SECOND), *rings(0, OPERATOR), hangup(9, OPERATOR, 19), response(9, 3, uniqueid="op")
    )

    assert stats["c1"] == {"requested": 1, "call_failed": 1}


def test_click_to_call_through_locals_on_both_sides(recount: Recount) -> None:
    (one, two), (three, four) = local("201@desk-01", "op", "op2"), local("100@out-02", "c3", "c4", "op")
    phone = Channel("phone", "PJSIP/201-00000001", "op")
    stats = recount(
        send(call=SECOND),
        *(born(0, each) for each in (one, two, three, four)),
        *(*rings(0.1, phone, by=two), *answers(2, phone, by=two), *answers(2.1, one)),
        *(*rings(3, three, by=one), *rings(3.1, CALLED, by=four), *answers(7, CALLED, by=four)),
        *talk(7.1, 12.1, CALLED, four, bridge="b1"),
        *talk(7.1, 12.1, three, one, bridge="b2"),
        *talk(2.2, 12.1, two, phone, bridge="b3"),
        *(hangup(12.5, each) for each in (CALLED, four, three, one, two, phone)),
    )

    expected = {"connected_ms": 5_500, "talk_ms": 5_000, "connects": 1, "hangup_causes": {"16": 1}}
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_ms": 5_000}}
