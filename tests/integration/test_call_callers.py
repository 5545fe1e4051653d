"""Callers of queues in calls without a campaign count for operators only.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

from tests.support.call_judges import Recount
from tests.support.call_packets import (
    CUSTOMER,
    OPERATOR,
    OTHER,
    Event,
    agent,
    answers,
    born,
    enter,
    hangup,
    local,
    queue,
    rings,
    send,
    talk,
)

LOCAL_1, LOCAL_2 = local("9@agents-01", "l1", "l2", "a")


def owned(*events: Event, tenant: str = "t1", **headers: str) -> list[Event]:
    """Return the events as of a PBX that is bound to a tenant."""
    return [(topic, body, {**own, "tenant": tenant, **headers}) for topic, body, own in events]


def inbound(*more: Event) -> list[Event]:
    """Return a caller who joins a queue at 1 s, talks with an operator for 4 s and hangs up."""
    return [
        *(born(0, CUSTOMER), *answers(0.5, CUSTOMER), queue(1, "Join", CUSTOMER)),
        *(*rings(2, OPERATOR, by=CUSTOMER), agent(2.1, "Called", CUSTOMER, OPERATOR, "PJSIP/alice")),
        *(*answers(3, OPERATOR, by=CUSTOMER), *talk(3.2, 7.3, CUSTOMER, OPERATOR), hangup(8, CUSTOMER)),
        *more,
    ]


ALICE = {"PJSIP/alice": {"connects": 1, "talk_ms": 4_100}}


def test_a_caller_counts_for_the_operator_who_takes_the_call_and_in_no_campaign(recount: Recount) -> None:
    stats = recount(*owned(*inbound()))

    assert (stats.campaigns, stats.operators, stats.tenants) == ({}, ALICE, {"t1"})


def test_a_caller_counts_for_the_operator_who_lets_the_call_ring(recount: Recount) -> None:
    stats = recount(
        *owned(
            *(born(0, CUSTOMER), queue(1, "Join", CUSTOMER), *rings(2, OPERATOR, by=CUSTOMER)),
            agent(9, "RingNoAnswer", CUSTOMER, OPERATOR, "PJSIP/alice"),
        )
    )

    assert stats.operators == {"PJSIP/alice": {"ring_no_answer": 1}}


def test_a_caller_whose_tenant_nobody_names_is_none(recount: Recount) -> None:
    assert recount(*inbound()).operators == {}


def test_the_tenant_of_a_caller_is_that_of_its_variable_before_the_records(recount: Recount) -> None:
    told = inbound(born(0.1, CUSTOMER, "TENANT_ID=t2"))

    assert recount(*owned(*told, tenants="any")).tenants == {"t2"}
    assert recount(*owned(*told)).tenants == {"t1"}


def test_who_joins_no_queue_is_no_caller(recount: Recount) -> None:
    shown = [event for event in inbound() if b"QueueCallerJoin" not in event[1]]

    assert recount(*owned(*shown)).operators == {}


def test_in_a_call_with_an_attempt_only_that_ones_channels_count(recount: Recount) -> None:
    """The attempt begins with another channel, which nobody is connected with."""
    stats = recount(*owned(*inbound()), send(call={"channel_id": OTHER.uniqueid}), *owned(*rings(2, OTHER)))

    assert stats.operators == {}
    assert stats["c1"] == {"requested": 1, "attempted": 1}


def test_the_variables_of_an_attempt_without_tenant_make_none_and_leave_the_callers(recount: Recount) -> None:
    """The channel that joins says whose it is, the one that names a contact does not."""
    named = born(2, OTHER, "CAMPAIGN_ID=c1", "CONTACT_ID=a")
    caller = born(0.1, CUSTOMER, "TENANT_ID=t2")
    stats = recount(*inbound(named, caller))

    assert (stats.operators, stats.tenants, stats.campaigns) == (ALICE, {"t2"}, {})


def test_another_tenants_attempt_is_none_in_a_call_of_a_bound_pbx(recount: Recount) -> None:
    stats = recount(*owned(*inbound()), send(tenant="t2"))

    assert stats.operators == ALICE
    assert stats["c1"] == {"requested": 1}


def test_two_callers_of_one_call_are_no_operators_of_each_other(recount: Recount) -> None:
    stats = recount(
        *owned(
            *inbound(queue(4, "Join", OTHER)),
            *(*answers(3.5, OTHER), enter(3.6, OTHER), hangup(6.5, OTHER)),
        )
    )

    # The operator talked with the first one for 4.1 s, and with the second from 3.6 to 6.5 s.
    assert stats.operators == {"PJSIP/alice": {"connects": 2, "talk_ms": 7_000}}


def test_a_caller_who_joins_through_a_local_channel_is_who_its_other_half_dialled(recount: Recount) -> None:
    phone = CUSTOMER
    stats = recount(
        *owned(
            *(
                born(0, LOCAL_1),
                born(0, LOCAL_2),
                *rings(0.2, phone, by=LOCAL_2),
                *answers(0.5, phone, by=LOCAL_2),
            ),
            *(queue(1, "Join", LOCAL_1), *rings(2, OPERATOR, by=LOCAL_1), *answers(3, OPERATOR, by=LOCAL_1)),
            *talk(3.2, 7.3, LOCAL_1, OPERATOR),
            *talk(1.1, 7.5, LOCAL_2, phone, bridge="b2"),
        )
    )

    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_ms": 4_100}}
