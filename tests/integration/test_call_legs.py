"""Which leg of an attempt is the customer's: through Local channels, forks and click-to-call.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

from tests.support.call_judges import Recount
from tests.support.call_packets import (
    OPERATOR,
    UP,
    Channel,
    answers,
    born,
    dial,
    hangup,
    local,
    response,
    rings,
    send,
    talk,
)


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
