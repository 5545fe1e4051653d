"""Which channels belong to which attempt.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

from hashlib import sha256

import pytest

from tests.support.call_judges import Recount, counted
from tests.support.call_packets import (
    CUSTOMER,
    NOW,
    UP,
    Channel,
    Event,
    Lines,
    ami,
    answered,
    answers,
    born,
    hangup,
    lines_of,
    packet,
    queue,
    response,
    rings,
    send,
    talk,
)


@pytest.mark.parametrize(
    "ids", [{"channel_id": "a"}, {"unique_id": "a"}, {"linked_id": "a"}, {"action_id": "act-a"}]
)
def test_any_id_of_the_send_result_finds_the_call(recount: Recount, ids: dict[str, str]) -> None:
    first, *rest = answered(one=CUSTOMER)
    stats = recount(send(call=ids), response(2, 4, uniqueid="a"), *rest)

    assert first[0] == "send-results"
    assert stats["c1"] == {**UP, "connected_ms": 10_000, "hangup_causes": {"16": 1}}


def test_a_channel_id_beats_the_channels_variables(recount: Recount) -> None:
    named = Channel("earlier")
    stats = recount(
        *answered(5),
        born(-5, named, "CAMPAIGN_ID=c1", "CONTACT_ID=a", "ATTEMPT_ID=1"),
        hangup(-4, named, 17),
    )

    assert stats["c1"] == {**UP, "connected_ms": 5_000, "hangup_causes": {"16": 1}}


def test_several_send_results_of_one_attempt_are_one_attempt(recount: Recount) -> None:
    _, *call = answered(5)
    stats = recount(
        send("queued", -9, call={}, template={"name": "z"}),
        send("requested", -8, call={"action_id": "no"}, template={"name": "b"}),
        send("accepted", -1, call={"linked_id": "no"}, template={"name": "y"}),
        send("accepted", -1, call={"channel_id": "a"}, template={"name": "x"}),
        send("failed", 99, call={"unique_id": "no"}, template={"name": "a"}),
        *call,
    )

    assert stats.scripts == {("c1", "x"): {**UP, "connected_ms": 5_000, "hangup_causes": {"16": 1}}}


def test_a_call_without_send_result_is_known_by_its_variables(recount: Recount) -> None:
    operator = Channel("op", "PJSIP/201-00000007", "a")
    stats = recount(
        *rings(0, CUSTOMER),
        ami(0.03, "VarSet", CUSTOMER.snapshot(), Variable="__CAMPAIGN_ID", Value="c1"),
        ami(0.03, "VarSet", CUSTOMER.snapshot(), Variable="__CONTACT_ID", Value=""),
        ami(0.04, "VarSet", CUSTOMER.snapshot(), Variable="__CONTACT_ID", Value="a"),
        ami(0.05, "VarSet", CUSTOMER.snapshot(), Variable="__CONTACT_ID", Value="later"),
        ami(0.06, "VarSet", CUSTOMER.snapshot(), Variable="TENANT_ID", Value="t2"),
        ami(0.06, "VarSet", CUSTOMER.snapshot(), Variable="SCRIPT_ID", Value="survey"),
        *answers(2, CUSTOMER),
        born(3, operator, "CAMPAIGN_ID=c1", "CONTACT_ID=a"),
        *talk(4, 8, CUSTOMER, operator),
        *(hangup(8, operator), hangup(9, CUSTOMER)),
    )

    expected = {"attempted": 1, "answered": 1, "connected_ms": 7_000, "talk_ms": 4_000, "connects": 1}
    assert stats.scripts == {("c1", "survey"): {**expected, "hangup_causes": {"16": 1}}}
    assert stats.tenants == {"t2"}


def variable(at: float, one: Channel, name: str, value: str) -> Event:
    return ami(at, "VarSet", one.snapshot(), Variable=name, Value=value)


def test_campaign_and_contact_that_come_apart_name_the_contacts_call(recount: Recount) -> None:
    leg = Channel("x")
    stats = recount(
        send("accepted", 0, call={"action_id": "elsewhere"}),
        *(born(1, leg), variable(1.1, leg, "CAMPAIGN_ID", "c1"), variable(1.2, leg, "CONTACT_ID", "a")),
        hangup(9, leg, 17),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}


def test_an_event_that_shows_campaign_and_contact_outranks_earlier_ones_that_show_one(
    recount: Recount,
) -> None:
    leg = Channel("x")
    stats = recount(
        send("accepted", 0, call={"action_id": "elsewhere"}),
        *(born(1, leg), variable(1.1, leg, "CAMPAIGN_ID", "other"), variable(1.2, leg, "CONTACT_ID", "b")),
        ami(1.3, "Newstate", leg.snapshot(state=5, variables=("CAMPAIGN_ID=c1", "CONTACT_ID=a"))),
        hangup(9, leg, 17),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}


NAMED = ("CAMPAIGN_ID=c1", "CONTACT_ID=a", "ATTEMPT_ID=2")
TENANTS: dict[str, tuple[Lines, dict[str, str], set[str]]] = {
    "variable": (
        [("ChanVariable", "TENANT_ID=v"), ("Tenantid", "f")],
        {"tenant": "h", "tenants": "any"},
        {"v"},
    ),
    "field": ([("Tenantid", "f")], {"tenant": "h", "tenants": "any"}, {"f"}),
    "header": ([], {"tenant": "h", "tenants": "any"}, {"h"}),
    "variable without header": ([("ChanVariable", "TENANT_ID=v"), ("Tenantid", "f")], {}, {"v"}),
    "bound": ([("ChanVariable", "TENANT_ID=v"), ("Tenantid", "f")], {"tenant": "h"}, {"h"}),
    "none": ([], {}, set()),
}


@pytest.mark.parametrize(("more", "headers", "tenants"), TENANTS.values(), ids=TENANTS)
def test_the_tenant_of_a_call_without_send_result(
    recount: Recount, more: Lines, headers: dict[str, str], tenants: set[str]
) -> None:
    stats = recount(
        packet(lines_of(0, "Newchannel", CUSTOMER.snapshot(variables=NAMED), more), headers=headers)
    )

    assert stats.tenants == tenants
    assert len(stats.campaigns) == len(tenants)


def test_a_pbx_that_is_bound_to_a_tenant_says_nothing_of_anothers_attempts(recount: Recount) -> None:
    leg = Channel("x")
    events = [
        born(0, leg, *NAMED, "TENANT_ID=t1"),
        response(0.5, 4, "act", "x"),
        *answers(1, leg),
        hangup(9, leg),
    ]
    bound = [(topic, body, {**headers, "tenant": "t2"}) for topic, body, headers in events]
    ids = {"action_id": "act", "channel_id": "x"}
    sent = [send(attempt=one, call=ids) for one in ("1", "2")]

    by_tenant = {row["tenant"]: counted(row) for row in recount(*sent, *bound).everything[0]}

    assert by_tenant == {
        "t1": {"requested": 2},
        "t2": {"attempted": 1, "answered": 1, "connected_ms": 8_000, "hangup_causes": {"16": 1}},
    }


def test_variables_join_the_attempt_of_their_name_whichever_tenant_sent_it(recount: Recount) -> None:
    leg = Channel("x")
    stats = recount(
        *(
            send(attempt=one, call={"action_id": f"no{one}"}, template={"name": one})
            for one in ("1", "2", "3")
        ),
        *(born(0, leg, *NAMED, "TENANT_ID=t9"), hangup(1, leg, 17)),
    )

    only_sent = {"requested": 1}
    assert stats.scripts["c1", "2"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}
    assert stats.scripts["c1", "1"] == stats.scripts["c1", "3"] == only_sent


def test_without_the_attempt_variable_the_attempt_sent_closest_in_time_is_meant(recount: Recount) -> None:
    leg = Channel("x")
    sent = {"1": -500, "2": 30, "3": 90}
    stats = recount(
        *(
            send("accepted", at, attempt=one, call={"action_id": f"no{one}"}, template={"name": one})
            for one, at in sent.items()
        ),
        *(born(58, leg, "CAMPAIGN_ID=c1", "CONTACT_ID=a"), hangup(70, leg, 17)),
    )

    assert {script: row.get("busy", 0) for (_, script), row in stats.scripts.items()} == {
        "1": 0,
        "2": 1,
        "3": 0,
    }


def test_the_same_ids_on_another_pbx_are_another_call(recount: Recount) -> None:
    _, *call = answered(5)
    elsewhere = [(topic, body, {**headers, "pbx": "pbx02"}) for topic, body, headers in call]

    assert recount(send(), *elsewhere)["c1"] == {"requested": 1}


def test_of_several_channels_that_ids_name_the_first_one_seen_is_the_attempts(recount: Recount) -> None:
    first, later = Channel("z"), Channel("b")
    stats = recount(
        send("requested", 0, call={"channel_id": "b"}),
        send("accepted", 0.5, call={"channel_id": "z"}),
        *(born(1, first), hangup(3, first, 17)),
        *(born(2, later), hangup(4, later, 21)),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}


ODD = r"CONTACT_ID= a\"b\tc\\ "


@pytest.mark.parametrize("variable_shown", [ODD, "CONTACT_ID=" + "a" * 129])
def test_a_variables_value_is_unescaped_trimmed_and_no_longer_than_an_id(
    recount: Recount, variable_shown: str
) -> None:
    leg = Channel("x")
    stats = recount(
        send("accepted", 0, contact='a"b\tc\\', call={"action_id": "elsewhere"}),
        *(born(1, leg, "CAMPAIGN_ID=c1", variable_shown), hangup(3, leg, 17)),
    )

    found = {"attempted": 1, "busy": 1, "hangup_causes": {"17": 1}} if variable_shown == ODD else {}
    assert stats["c1"] == {"requested": 1, **found}


@pytest.mark.parametrize(("at", "counts"), [(1_230_767_999.5, 0), (1_230_768_000, 1)])
def test_what_happened_before_2009_did_not(recount: Recount, at: float, counts: int) -> None:
    leg = Channel("a")
    stats = recount(send(), born(at - NOW, leg))

    assert stats["c1"] == {"requested": 1, **({"attempted": 1} if counts else {})}


@pytest.mark.parametrize("length", [63, 64, 65])
def test_a_queue_goes_by_a_digest_where_its_name_is_longer_than_any(recount: Recount, length: int) -> None:
    name = "é" * 20 + "q" * (length - 40)
    shown = f"sha256:{sha256(name.encode()).hexdigest()[:32]}" if length > 64 else name
    stats = recount(*answered(5), queue(3, "Join", CUSTOMER, name), queue(4, "Leave", CUSTOMER, name))

    assert stats["c1"]["queues"] == {
        f"{shown}/joins": 1,
        f"{shown}/timeouts": 1,
        f"{shown}/wait_ms": 1_000,
    }


DAY = 86_400


@pytest.mark.parametrize(("ahead", "counts"), [(DAY, True), (DAY + 0.001, False)])
def test_what_is_more_than_a_day_ahead_of_its_record_did_not_happen(
    recount: Recount, ahead: float, counts: bool
) -> None:
    leg = Channel("a")
    stats = recount(send(), born(ahead, leg), published_ms=NOW * 1000)

    assert stats["c1"] == {"requested": 1, **({"attempted": 1} if counts else {})}


def test_a_list_from_a_clock_that_is_ahead_is_of_its_record(recount: Recount) -> None:
    leg = Channel("a")
    complete = ami(3600, "CoreShowChannelsComplete", ListItems="0")
    stats = recount(send(), born(0, leg), *answers(5, leg), complete, published_ms=(NOW + 5) * 1000)

    assert stats["c1"] == UP
