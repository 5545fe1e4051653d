"""Calls beyond a bound, attempts of two PBXs or channels, scripts with a language, and what is no attempt.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

import random

import pytest

from tally.schemas.bounds import CALL_CROWDS, CALL_MEMBERS
from tests.support.call_judges import Recount, Recounted
from tests.support.call_packets import (
    CUSTOMER,
    PBX,
    UP,
    Channel,
    Event,
    ami,
    answered,
    born,
    enter,
    hangup,
    leave,
    rings,
    send,
)

OTHER_PBX = "pbx02"
PRESENT = 20
"""Channels in one bridge, of which the customer's is one."""
MOVES = CALL_CROWDS.most // PRESENT**2


def shuffled(events: list[Event]) -> list[Event]:
    return random.Random(len(events)).sample(events, len(events))


def elsewhere(event: Event) -> Event:
    topic, body, headers = event
    return topic, body, {**headers, "pbx": OTHER_PBX}


def by_language(stats: Recounted) -> dict[tuple[str, str], int]:
    """Return what was attempted by script and language, and what was requested under its name in capitals."""
    rows = {}
    for row in stats.everything[1]:
        name, language = row["template_name"], row["template_language"]
        for counter, shown in (("requested", name.upper()), ("attempted", name)):
            if row.get(counter):
                rows[shown, language] = row[counter]
    return rows


def holds(members: int) -> list[Event]:
    """Return a call of which so much is known: what `answered` tells, and holds of the customer's leg."""
    # Names: the channel, the ActionID, the contact. The channel, the result and its two ids.
    rest = members - 3 - 1 - 3
    return [*answered(), *(ami(3 + nth / 1000, "Hold", CUSTOMER.snapshot()) for nth in range(rest))]


@pytest.mark.parametrize(("over", "counts"), [(-1, True), (0, True), (1, False)])
def test_of_a_call_beyond_its_bound_only_what_was_asked_for_counts(
    recount: Recount, over: int, counts: bool
) -> None:
    stats = recount(*shuffled(holds(CALL_MEMBERS.most + over)))

    # Held from 3 s to the hang-up at 12 s.
    ended = {**UP, "connected_ms": 10_000, "hold_ms": 9_000, "hangup_causes": {"16": 1}}
    assert stats["c1"] == (ended if counts else {"requested": 1})


def crowd(moves: int) -> list[Event]:
    operators = [Channel(f"op{nth:02}", f"PJSIP/{nth:02}-00000001", "a") for nth in range(PRESENT - 1)]
    events = [*answered(100), *(enter(5, one) for one in (CUSTOMER, *operators))]
    for nth in range(moves - PRESENT):
        move = enter if nth % 2 else leave
        events.append(move(6 + nth / 2, operators[0]))
    return [*events, *(hangup(101, one) for one in operators)]


@pytest.mark.parametrize(("over", "counts"), [(-1, True), (0, True), (1, False)])
def test_of_a_call_in_whose_bridges_too_many_meet_only_what_was_asked_for_counts(
    recount: Recount, over: int, counts: bool
) -> None:
    stats = recount(*shuffled(crowd(MOVES + over)))

    assert stats["c1"].get("connects", 0) == (PRESENT - 1 if counts else 0)
    assert len(stats.operators) == (PRESENT - 1 if counts else 0)
    # The others talked from 5 s to the hang-up at 101 s.
    assert {name: row["talk_ms"] for name, row in stats.operators.items() if name != "PJSIP/00"} == (
        {f"PJSIP/{nth:02}": 96_000 for nth in range(1, PRESENT - 1)} if counts else {}
    )


def test_bridges_that_a_local_channel_connects_are_one_crowd(recount: Recount) -> None:
    """Two of 17 channels and enters are 4,913 each; with both halves of a Local it is one of 36: 46,656."""
    first, second = Channel("l1", "Local/9@d-1;1", "a"), Channel("l2", "Local/9@d-1;2", "a")
    operators = [Channel(f"op{nth:02}", f"PJSIP/{nth:02}-00000001", "a") for nth in range(33)]
    there = [enter(5, one) for one in (CUSTOMER, *operators[:16])]
    there += [enter(5, one, "b2") for one in operators[16:]]
    apart = [*answered(), *there]

    assert recount(*shuffled(apart))["c1"]["connects"] == 16
    together = [*apart, enter(5, first), enter(5, second, "b2")]
    assert recount(*shuffled(together))["c1"] == {"requested": 1}


def test_who_meets_in_a_bridge_without_being_of_one_call_is_not_connected(recount: Recount) -> None:
    stranger = Channel("x", "PJSIP/203-00000009")

    assert "connects" not in recount(*answered(), enter(5, CUSTOMER), enter(5, stranger))["c1"]


def test_an_attempt_of_two_pbxs_is_one_of_each_and_was_asked_for_once(recount: Recount) -> None:
    def asked(pbx: str, at: float, script: str) -> Event:
        return send("accepted", at, pbx=pbx, call={"channel_id": "a"}, template={"name": script})

    shown = [*rings(0, CUSTOMER), hangup(5, CUSTOMER, 17)]
    stats = recount(
        asked(PBX, -1, "y"),
        asked(OTHER_PBX, 20, "x"),
        *shown,
        *(elsewhere(event) for event in answered()[1:]),
    )

    busy = {"attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}
    taken = {"attempted": 1, "answered": 1, "connected_ms": 10_000, "hangup_causes": {"16": 1}}
    # The recipient knows both results, of which the smallest template holds; each PBX knows its own.
    assert stats.scripts == {("c1", "x"): {"requested": 1, **taken}, ("c1", "y"): busy}
    assert stats["c1"]["attempted"] == 2


def test_results_that_name_no_pbx_say_nothing_of_the_script_of_a_call(recount: Recount) -> None:
    failed = send("failed", 20, pbx=None, call=None, template={"name": "other"})

    assert recount(failed, *answered()).scripts == {
        ("c1", "other"): {"requested": 1},
        ("c1", "offer"): {"attempted": 1, "answered": 1, "connected_ms": 10_000, "hangup_causes": {"16": 1}},
    }


def test_a_script_may_have_a_language(recount: Recount) -> None:
    dutch = {"name": "offer", "language": "nl-NL"}
    stats = recount(
        *(send(template=dutch), *rings(0, CUSTOMER)),
        *(send(contact="b"), *rings(0, Channel("b"))),
    )

    assert by_language(stats) == {
        ("OFFER", "nl_NL"): 1,
        ("offer", "nl_NL"): 1,
        ("OFFER", ""): 1,
        ("offer", ""): 1,
    }


def test_an_attempt_of_both_channels_is_one_of_whatsapp_and_its_call_counts_all_the_same(
    recount: Recount,
) -> None:
    message = send(
        "accepted",
        channel="whatsapp",
        phone_number_id="n1",
        message_id="m1",
        template={"name": "promo", "language": "nl"},
    )

    assert by_language(recount(message, send(), *rings(0, CUSTOMER))) == {("offer", ""): 1}


def test_who_has_hung_up_is_in_no_bridge(recount: Recount) -> None:
    late = [enter(13, CUSTOMER), enter(13, Channel("op", linkedid="a")), leave(15, CUSTOMER)]

    assert "connects" not in recount(*answered(), *late)["c1"]


def test_a_name_that_a_send_result_has_makes_no_further_attempt_whatever_tenant_says_it(
    recount: Recount,
) -> None:
    named = Channel("x", linkedid="a")
    stats = recount(
        *(send(tenant="t2"), *rings(0, CUSTOMER)),
        born(1, named, "CAMPAIGN_ID=c1", "CONTACT_ID=a", "TENANT_ID=t1"),
    )

    assert (stats.tenants, stats["c1"]) == ({"t2"}, {"requested": 1, "attempted": 1})
