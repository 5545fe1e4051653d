"""The attempts of channels when some events are still to come or lost.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

from tests.support.call_judges import Recount
from tests.support.call_packets import (
    CUSTOMER,
    UP,
    Channel,
    Event,
    ami,
    answers,
    born,
    hangup,
    local,
    response,
    rings,
    send,
)

CONTACT = ("CAMPAIGN_ID=c1", "CONTACT_ID=a")
LOCAL_1, LOCAL_2 = local("100@dial-01", "a", "a2")
TRUNK = Channel("trunk", "PJSIP/carrier-00000003", "a")
DIALLED = {"requested": 1, "attempted": 1}


def of_tenant(tenant: str, event: Event) -> Event:
    topic, body, headers = event
    return topic, body, {**headers, "tenant": tenant}


def asked(attempt: str, at: float, **call: str) -> Event:
    return send(at=at, attempt=attempt, call=call, template={"name": attempt})


def test_the_tenant_of_a_record_is_that_of_all_channels_it_shows(recount: Recount) -> None:
    caller, dest = Channel("op").snapshot(), CUSTOMER.snapshot("Dest", variables=CONTACT)
    shows = [
        ami(0, "DialBegin", caller, dest),
        ami(0, "VarSet", CUSTOMER.snapshot(variables=CONTACT), Variable="SCRIPT_ID", Value="survey"),
    ]

    for event in shows:
        assert recount(of_tenant("t7", event)).tenants == {"t7"}


def test_a_leg_without_the_attempt_variable_has_its_callers_also_where_that_was_seen_later(
    recount: Recount,
) -> None:
    leg, caller = Channel("x"), Channel("y")
    events = [
        born(0, leg, *CONTACT),
        ami(1, "DialBegin", caller.snapshot(variables=CONTACT), leg.snapshot("Dest", variables=CONTACT)),
        ami(2, "VarSet", caller.snapshot(state=6), Variable="ATTEMPT_ID", Value="2"),
    ]

    assert recount(*(of_tenant("t1", event) for event in events))["c1"] == {"attempted": 1}


def test_a_stray_leg_is_of_the_attempt_closest_in_time_though_an_id_names_a_channel_of_it(
    recount: Recount,
) -> None:
    stray = of_tenant("t1", born(3, Channel("x"), *CONTACT))
    stats = recount(asked("2", -1, action_id="act-a"), response(2, 4, uniqueid="a"), born(0, CUSTOMER), stray)

    assert stats.scripts == {("c1", "2"): UP}


def test_variables_that_name_the_attempt_go_before_its_action_id_and_others_after_it(
    recount: Recount,
) -> None:
    """The attempt of a channel that does not say it is a guess."""
    named = [asked("1", -1, action_id="act-a"), response(2, 3, uniqueid="a"), *rings(0, CUSTOMER)]
    says = [born(1, Channel("x"), *CONTACT, "ATTEMPT_ID=1"), hangup(4, Channel("x"), 17)]
    guess = [born(-1, Channel("x"), *CONTACT), hangup(4, Channel("x"), 17)]

    assert recount(*named, *says)["c1"] == {**DIALLED, "busy": 1, "hangup_causes": {"17": 1}}
    assert recount(*named, *guess)["c1"] == DIALLED


def test_what_a_sent_attempts_channel_dialled_is_no_further_attempt(recount: Recount) -> None:
    """Asterisk drops quotes and backslashes of variables."""
    other = ("CAMPAIGN_ID=c1", "CONTACT_ID=a", "ATTEMPT_ID=1")
    leg, own = Channel("x"), Channel("y")
    dialled = [
        asked("2", -1, channel_id="a"),
        *answers(2, CUSTOMER),
        *rings(3, leg, by=CUSTOMER),
        born(3.1, leg, *other),
    ]

    assert recount(*(of_tenant("t1", event) for event in dialled))["c1"] == UP
    both = recount(*(of_tenant("t1", event) for event in (*dialled, born(9, own, *other))))
    assert both["c1"] == {**UP, "attempted": 2}


def test_an_attempt_known_by_the_far_half_of_a_local_begins_with_the_half_that_was_dialled(
    recount: Recount,
) -> None:
    named = born(0, LOCAL_2, *CONTACT, "ATTEMPT_ID=1")
    rest = [born(0.1, LOCAL_1), *rings(0.2, TRUNK, by=LOCAL_2), *answers(2, TRUNK, by=LOCAL_2)]

    assert recount(of_tenant("t1", named), *rest)["c1"] == {"attempted": 1, "answered": 1}
