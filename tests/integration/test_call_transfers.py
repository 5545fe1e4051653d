"""Waiting rooms, and whose leg it is when a call is passed on.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

import pytest

from tests.support.call_judges import Recount
from tests.support.call_packets import (
    CUSTOMER,
    OPERATOR,
    OTHER,
    Channel,
    Event,
    agent,
    answered,
    answers,
    born,
    enter,
    hangup,
    leave,
    local,
    queue,
    queued_call,
    request,
    rings,
    talk,
    waits,
)

ROOMS: dict[str, list[Event]] = {
    "both in one parking lot": waits(9, 15, CUSTOMER, OTHER),
    "the customer moved into the lot without leaving": [
        enter(9, CUSTOMER, "lot", "holding_bridge"),
        enter(9, OTHER, "lot", "holding_bridge"),
    ],
    "a Local channel's half in the lot for the customer": [
        *(enter(9, CUSTOMER, "near"), enter(9, Channel("l1"), "near"), leave(15, CUSTOMER, "near")),
        *waits(9, 15, Channel("l2"), OTHER),
    ],
}


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
def test_a_waiting_room_connects_nobody_and_ends_the_stay_before_it(
    recount: Recount, room: list[Event]
) -> None:
    one, two = local("700@parked-01", "l1", "l2", "a")
    stats = recount(
        *answered(20),
        *(born(3, each) for each in (OPERATOR, OTHER, one, two)),
        *(enter(4, CUSTOMER), enter(4, OPERATOR)),
        *room,
    )

    ended = {"connects": 1, "talk_ms": 5_000}
    assert stats.operators == {"PJSIP/201": ended}
    assert {name: stats["c1"][name] for name in ended} == ended


def test_whoever_comes_back_from_a_waiting_room_goes_on_in_the_same_connect(recount: Recount) -> None:
    stats = recount(
        *answered(30),
        born(3, OPERATOR),
        *(*talk(4, 9, CUSTOMER, OPERATOR), *waits(9.1, 20, CUSTOMER)),
        *talk(20.1, 26.1, CUSTOMER, OPERATOR, bridge="b2"),
    )

    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_ms": 11_000}}


def test_a_crowded_waiting_room_is_no_crowd(recount: Recount) -> None:
    """A parking lot of one call: an operator's permanent channel keeps all its callers together."""
    parked = [Channel(f"p{nth}", "", "a") for nth in range(150)]
    stats = recount(
        *answered(20),
        *(event for one in parked for event in (born(3, one), *waits(4, 5, one))),
        *(born(3, OPERATOR), *talk(6, 9, CUSTOMER, OPERATOR)),
    )

    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_ms": 3_000}}


ONE, TWO = local("201@from-queue-03", "q1", "q2", "a")
MEMBER = "Local/201@from-queue/n"
OUTSIDE = Channel("ext", "PJSIP/trunk-00000009", "a")
NEXT, NEXT_TWO = local("201@follow-04", "x1", "x2", "a")
CONSULTING = Channel("op9", "PJSIP/201-00000012", "a")
BY_MEMBER = {MEMBER: {"connects": 1, "talk_ms": 59_900}}


def taken_behind_a_local(*more: Event) -> list[Event]:
    """Return a queue's call that a member takes for 59.9 s behind a Local channel that stays."""
    return queued_call(
        *(born(3.1, ONE), born(3.1, TWO), agent(3.2, "Called", CUSTOMER, ONE, MEMBER)),
        *(*rings(3.2, ONE, by=CUSTOMER), *rings(3.3, OPERATOR, by=TWO), *answers(6, OPERATOR, by=TWO)),
        *(enter(6.1, OPERATOR, "far"), enter(6.1, TWO, "far"), enter(6.2, ONE), enter(6.2, CUSTOMER)),
        queue(6.2, "Leave", CUSTOMER),
        *(leave(66.1, TWO, "far"), leave(66.1, OPERATOR, "far"), hangup(66.3, OPERATOR)),
        *more,
        until=700,
    )


PASSED_ON: dict[str, tuple[list[Event], dict[str, dict[str, int]]]] = {
    "dialled once the member's phone had hung up": (
        [*rings(66.5, OUTSIDE, by=TWO), *talk(70.1, 670.1, OUTSIDE, TWO, bridge="far 2")],
        {"PJSIP/trunk": {"connects": 1, "talk_ms": 600_000}},
    ),
    "dialled before the member's phone was gone": (
        [*rings(66.2, OUTSIDE, by=TWO), *talk(70.1, 670.1, OUTSIDE, TWO, bridge="far 2")],
        {"PJSIP/trunk": {"connects": 1, "talk_ms": 600_000}},
    ),
    "passed on twice": (
        [
            *(*rings(66.5, OUTSIDE, by=TWO), *talk(70, 80, OUTSIDE, TWO, bridge="far 2")),
            *(*rings(81, OTHER, by=TWO), *talk(85, 90, OTHER, TWO, bridge="far 3")),
        ],
        {
            "PJSIP/trunk": {"connects": 1, "talk_ms": 10_000},
            "PJSIP/202": {"connects": 1, "talk_ms": 5_000},
        },
    ),
    "through a further Local channel": (
        [
            *(born(66.4, NEXT), born(66.4, NEXT_TWO), *rings(66.5, NEXT, by=TWO)),
            *(*rings(66.6, OUTSIDE, by=NEXT_TWO), *talk(70, 80, TWO, NEXT, bridge="middle")),
            *talk(70, 80, OUTSIDE, NEXT_TWO, bridge="far 2"),
        ],
        {"PJSIP/trunk": {"connects": 1, "talk_ms": 10_000}},
    ),
    "attended, to whom the member's second channel had dialled": (
        [
            *(born(40, CONSULTING), *rings(41, OUTSIDE, by=CONSULTING)),
            *talk(66.2, 76.2, OUTSIDE, TWO, bridge="far 2"),
        ],
        {"PJSIP/trunk": {"connects": 1, "talk_ms": 10_000}},
    ),
    "to a member of another queue": (
        [
            *(queue(66.5, "Join", TWO, "care"), *rings(67, OTHER, by=TWO)),
            agent(67, "Called", TWO, OTHER, "PJSIP/bob", "care"),
            *talk(70, 80, OTHER, TWO, bridge="far 2"),
        ],
        {"PJSIP/bob": {"connects": 1, "talk_ms": 10_000}},
    ),
}


@pytest.mark.parametrize(("more", "others"), PASSED_ON.values(), ids=PASSED_ON)
def test_what_a_members_local_channel_dials_after_the_member_is_somebody_elses(
    recount: Recount, more: list[Event], others: dict[str, dict[str, int]]
) -> None:
    stats = recount(*taken_behind_a_local(*more))

    assert stats.operators == BY_MEMBER | others
    of_queue = {name: n for name, n in stats["c1"]["queues"].items() if name.startswith("sales/")}
    assert of_queue == {
        "sales/joins": 1,
        "sales/wait_ms": 3_200,
        "sales/connects": 1,
        "sales/talk_ms": 59_900,
    }


THERE = [enter(9, ONE), enter(9, CUSTOMER), *talk(10, 15.5, OPERATOR, TWO, bridge="far")]
FOLLOWED: dict[str, list[Event]] = {
    "side by side": [
        *(*rings(3.3, OTHER, by=TWO), *rings(3.3, OPERATOR, by=TWO), hangup(6, OTHER, 26)),
        *THERE,
    ],
    "one after the other": [
        *(*rings(3.3, OTHER, by=TWO), hangup(8, OTHER, 19), *rings(8.1, OPERATOR, by=TWO)),
        *THERE,
    ],
    "the first picked up and declined to take the call": [
        *(*rings(3.3, OTHER, by=TWO), *answers(5, OTHER, by=TWO), hangup(7, OTHER)),
        *rings(8, OPERATOR, by=TWO),
        *THERE,
    ],
    "behind two Local channels of which one answers first": [
        *(born(3.3, NEXT), born(3.3, NEXT_TWO), *rings(3.4, NEXT, by=TWO)),
        *talk(3.5, 40, TWO, NEXT, bridge="middle"),
        *(*rings(5, OPERATOR, by=NEXT_TWO), *talk(10, 40, OPERATOR, NEXT_TWO, bridge="far")),
        *talk(10, 15.5, ONE, CUSTOMER),
    ],
}


@pytest.mark.parametrize("dialled", FOLLOWED.values(), ids=FOLLOWED)
def test_all_phones_that_a_members_local_channel_tries_are_the_members(
    recount: Recount, dialled: list[Event]
) -> None:
    stats = recount(
        *queued_call(
            *(born(3.1, ONE), born(3.1, TWO), agent(3.2, "Called", CUSTOMER, ONE, MEMBER)),
            *(*rings(3.2, ONE, by=CUSTOMER), *dialled),
        )
    )

    assert stats.operators == {MEMBER: {"connects": 1, "talk_ms": 5_500}}
    assert stats["c1"]["queues"]["sales/connects"] == 1


JOINED: dict[str, tuple[list[Event], int]] = {
    "never, by its own channel": ([], 1),
    "once": ([queue(5, "Join", CUSTOMER)], 1),
    "twice": ([queue(4, "Join", CUSTOMER), queue(5, "Join", CUSTOMER, Position=2)], 2),
}


@pytest.mark.parametrize(("joins", "counted"), JOINED.values(), ids=JOINED)
def test_an_abandon_without_a_join_of_that_queue_counts_a_join(
    recount: Recount, joins: list[Event], counted: int
) -> None:
    stats = recount(
        *answered(20),
        *(queue(3, "Join", CUSTOMER, "other"), *joins),
        *(request(9, CUSTOMER), queue(10, "Abandon", CUSTOMER)),
    )

    assert stats["c1"]["queue_joins"] == counted + 1
    queues = stats["c1"]["queues"]
    assert (queues["other/joins"], queues["other/timeouts"]) == (1, 1)
    assert (queues["sales/joins"], queues["sales/abandoned"]) == (counted, 1)
    assert queues.get("sales/timeouts", 0) == counted - 1


def test_what_the_queue_ended_shows_no_join(recount: Recount) -> None:
    assert "queue_joins" not in recount(*answered(20), queue(10, "Abandon", CUSTOMER))["c1"]
