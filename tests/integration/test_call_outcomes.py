"""The result of an attempt: causes, dial statuses, OriginateResponses, and who ended it.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

import pytest

from tests.support.call_judges import Counters, Recount
from tests.support.call_packets import (
    CUSTOMER,
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
