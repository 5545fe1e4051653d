"""Operators, queues, machine detection and dropped calls.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

import pytest

from tests.support.call_judges import Recount
from tests.support.call_packets import (
    CUSTOMER,
    OPERATOR,
    OTHER,
    UP,
    Channel,
    Event,
    agent,
    ami,
    answered,
    answers,
    born,
    detected,
    dial,
    enter,
    hangup,
    leave,
    lines_of,
    local,
    packet,
    queue,
    queued_call,
    request,
    rings,
    talk,
)


def test_an_operator_in_the_same_bridge_is_one_connect_with_its_whole_seconds(recount: Recount) -> None:
    stats = recount(
        *answered(20),
        *(*rings(3, OPERATOR, by=CUSTOMER), *answers(5, OPERATOR, by=CUSTOMER)),
        *talk(5.2, 9.1, OPERATOR, CUSTOMER),
        hangup(9.2, OPERATOR),
    )

    expected = {"connected_ms": 20_000, "talk_ms": 3_900, "connects": 1, "hangup_causes": {"16": 1}}
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_ms": 3_900}}


def test_a_connection_that_lasts_has_no_seconds_yet(recount: Recount) -> None:
    stats = recount(
        *answered(20)[:-1],
        *rings(3, OPERATOR, by=CUSTOMER),
        *talk(5, 7, OPERATOR, CUSTOMER),
        *(enter(8, OPERATOR), enter(8, CUSTOMER)),
    )

    assert stats["c1"] == {**UP, "connects": 1, "talk_ms": 2_000}
    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_ms": 2_000}}


def test_a_connection_ends_with_a_hangup_or_in_another_bridge_too(recount: Recount) -> None:
    stats = recount(
        *answered(20),
        *(born(3, OPERATOR), born(3, OTHER)),
        *(enter(5, OPERATOR), enter(5, CUSTOMER), enter(7.5, OPERATOR, "elsewhere")),
        *(enter(10, OTHER), hangup(13, OTHER)),
    )

    assert stats.operators == {
        "PJSIP/201": {"connects": 1, "talk_ms": 2_500},
        "PJSIP/202": {"connects": 1, "talk_ms": 3_000},
    }
    assert (stats["c1"]["talk_ms"], stats["c1"]["connects"]) == (5_500, 2)


def test_a_blind_transfer_to_a_second_operator_is_two_connects(recount: Recount) -> None:
    stats = recount(
        *answered(20),
        *(*rings(3, OPERATOR, by=CUSTOMER), *answers(5, OPERATOR, by=CUSTOMER)),
        *(*talk(5, 8.5, OPERATOR, CUSTOMER), hangup(8.6, OPERATOR)),
        *(*rings(9, OTHER, by=CUSTOMER), *answers(11, OTHER, by=CUSTOMER)),
        *(*talk(11, 16.5, OTHER, CUSTOMER, bridge="b2"), hangup(16.6, OTHER)),
    )

    expected = {"connected_ms": 20_000, "talk_ms": 9_000, "connects": 2, "hangup_causes": {"16": 1}}
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {
        "PJSIP/201": {"connects": 1, "talk_ms": 3_500},
        "PJSIP/202": {"connects": 1, "talk_ms": 5_500},
    }


def test_through_a_local_that_later_leaves_the_call_it_is_one_connection(recount: Recount) -> None:
    one, two = local("201@desk-01", "l1", "l2", "a")
    stats = recount(
        *answered(20),
        *(*rings(3, one, by=CUSTOMER), born(3, two), *rings(3.1, OPERATOR, by=two)),
        *(
            enter(5, OPERATOR, "far"),
            enter(5, two, "far"),
            enter(5.5, one, "near"),
            enter(6, CUSTOMER, "near"),
        ),
        *(leave(8, OPERATOR, "far"), leave(8, one, "near"), enter(8, OPERATOR, "near"), leave(8, two, "far")),
        *(hangup(8.1, one), hangup(8.1, two), leave(12.5, OPERATOR, "near"), leave(12.5, CUSTOMER, "near")),
    )

    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_ms": 6_500}}
    assert (stats["c1"]["connects"], stats["c1"]["talk_ms"]) == (1, 6_500)


def test_hold_lasts_to_the_next_unhold_or_the_legs_hangup(recount: Recount) -> None:
    def held(at: float, event: str, one: Channel) -> Event:
        return ami(at, event, one.snapshot(state=6), MusicClass=f"at {at}")

    stats = recount(
        *answered(20),
        *(born(3, OPERATOR), *talk(4, 18, CUSTOMER, OPERATOR), hangup(18.9, OPERATOR)),
        *(held(4.5, "Unhold", OPERATOR), held(5, "Hold", OPERATOR), held(6, "Hold", OPERATOR)),
        *(held(8.2, "Unhold", OPERATOR), held(17, "Hold", OPERATOR)),
        *(held(10, "Hold", CUSTOMER), held(11.5, "Unhold", CUSTOMER)),
    )

    assert stats["c1"]["hold_ms"] == 3_200 + 1_900 + 1_500


def test_a_queue_with_a_ring_no_answer_and_a_connect(recount: Recount) -> None:
    stats = recount(
        *queued_call(
            *(*rings(3.5, OTHER, by=CUSTOMER), agent(3.6, "Called", CUSTOMER, OTHER, "PJSIP/bob")),
            agent(8.5, "RingNoAnswer", CUSTOMER, OTHER, "PJSIP/bob"),
            *(dial("DialEnd", 8.6, OTHER, CUSTOMER, status) for status in ("NOANSWER", "CANCEL")),
            hangup(8.7, OTHER, 0),
            *(*rings(9, OPERATOR, by=CUSTOMER), agent(9.1, "Called", CUSTOMER, OPERATOR, "PJSIP/alice")),
            *answers(12, OPERATOR, by=CUSTOMER),
            *(queue(12.5, "Leave", CUSTOMER), agent(12.6, "Connect", CUSTOMER, OPERATOR, "PJSIP/alice")),
            *(*talk(13, 20, CUSTOMER, OPERATOR), hangup(20, OPERATOR)),
        )
    )

    of_queue = {"joins": 1, "wait_ms": 9_500, "ring_no_answer": 1, "connects": 1, "talk_ms": 7_000}
    expected = {
        **{"connected_ms": 38_000, "talk_ms": 7_000, "queue_wait_ms": 9_500, "queue_joins": 1, "connects": 1},
        **{"ring_no_answer": 1, "hangup_causes": {"16": 1}},
        "queues": {f"sales/{name}": n for name, n in of_queue.items()},
        "queue_waits": {"sales/10": 1},
    }
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {
        "PJSIP/alice": {"connects": 1, "talk_ms": 7_000},
        "PJSIP/bob": {"ring_no_answer": 1},
    }


def test_a_member_behind_a_local_is_known_by_its_interface(recount: Recount) -> None:
    one, two = local("201@desk-01", "l1", "l2", "a")
    stats = recount(
        *queued_call(
            *(*rings(3.5, one, by=CUSTOMER), born(3.5, two), *rings(3.6, OPERATOR, by=two)),
            agent(4, "Connect", CUSTOMER, one, "Local/201@desk/n"),
            *(*talk(5, 9, CUSTOMER, one), *talk(5, 9, two, OPERATOR, bridge="b2")),
        )
    )

    assert stats.operators == {"Local/201@desk/n": {"connects": 1, "talk_ms": 4_000}}
    assert stats["c1"]["queues"] == {
        "sales/joins": 1,
        "sales/wait_ms": 37_000,
        "sales/connects": 1,
        "sales/talk_ms": 4_000,
    }


ABANDONS: dict[str, tuple[list[Event], int]] = {
    "the customer hung up": ([request(9, CUSTOMER)], 1),
    "the queue gave up": ([request(11, CUSTOMER)], 0),
    "nobody hung up": ([], 0),
    "an operator came later": (
        [request(9, CUSTOMER), *talk(15, 20, CUSTOMER, OPERATOR), born(14, OPERATOR)],
        0,
    ),
    "an operator came before": (
        [request(9, CUSTOMER), *talk(4, 8, CUSTOMER, OPERATOR), born(3, OPERATOR)],
        1,
    ),
}


@pytest.mark.parametrize(("more", "abandoned"), ABANDONS.values(), ids=ABANDONS)
def test_an_abandon_is_the_customers(recount: Recount, more: list[Event], abandoned: int) -> None:
    stats = recount(*queued_call(queue(10, "Abandon", CUSTOMER), queue(10.1, "Leave", CUSTOMER), *more))

    assert stats["c1"].get("queue_abandoned", 0) == abandoned
    assert stats["c1"]["queues"].get("sales/abandoned", 0) == abandoned
    assert stats["c1"]["queue_wait_ms"] == 7_000


def test_each_join_waits_on_its_own(recount: Recount) -> None:
    stats = recount(
        *queued_call(
            queue(4.9, "Leave", CUSTOMER),
            *(
                queue(6, "Join", CUSTOMER, "support"),
                queue(7, "Leave", CUSTOMER),
                queue(8.9, "Leave", CUSTOMER, "support"),
            ),
            queue(10, "Join", CUSTOMER),
            queue(10, "Join", CUSTOMER, Count=9),
            until=12.9,
        )
    )

    assert (stats["c1"]["queue_joins"], stats["c1"]["queue_wait_ms"]) == (3, 1_900 + 2_900 + 2_900)
    assert stats["c1"]["queues"] == {
        "sales/joins": 2,
        "sales/timeouts": 2,
        "sales/wait_ms": 4_800,
        "support/joins": 1,
        "support/timeouts": 1,
        "support/wait_ms": 2_900,
    }


def test_without_timestamps_a_channels_joins_of_a_queue_are_one(recount: Recount) -> None:
    def joined(at: float, position: int, name: str) -> Event:
        lines = lines_of(None, "QueueCallerJoin", CUSTOMER.snapshot(state=6), Queue=name, Position=position)
        return packet(lines, received_at=at)

    stats = recount(*answered(20), joined(3, 1, "sales"), joined(7, 2, "sales"), joined(9, 1, "support"))

    assert stats["c1"]["queue_joins"] == 2
    assert stats["c1"]["queue_wait_ms"] == 19_000 + 13_000


def test_a_join_of_somebody_elses_channel_is_not_the_attempts(recount: Recount) -> None:
    stats = recount(*answered(20), born(3, OPERATOR), queue(4, "Join", OPERATOR))

    assert "queue_joins" not in stats["c1"]


@pytest.mark.parametrize(
    ("values", "counter"),
    [
        (["HUMAN"], "answered_human"),
        (["MACHINE"], "answered_machine"),
        (["NOTSURE"], "answered_unknown"),
        (["", "HUMAN", "MACHINE"], "answered_human"),
        ([], None),
    ],
)
def test_who_answered_is_said_by_the_earliest_amd_status(
    recount: Recount, values: list[str], counter: str | None
) -> None:
    stats = recount(*answered(), *(detected(value, 2.5 + nth) for nth, value in enumerate(values)))

    said = {name: n for name, n in stats["c1"].items() if name.startswith("answered_")}
    assert said == ({counter: 1} if counter else {})


DROPPED: dict[str, tuple[list[Event], int]] = {
    "no operator at all": ([detected("HUMAN")], 1),
    "a machine": ([detected("MACHINE")], 0),
    "in time": ([detected("HUMAN"), born(3, OPERATOR), *talk(4, 8, CUSTOMER, OPERATOR)], 0),
    "too late": ([detected("HUMAN"), born(3, OPERATOR), *talk(4.000001, 8, CUSTOMER, OPERATOR)], 1),
}


@pytest.mark.parametrize(("more", "dropped"), DROPPED.values(), ids=DROPPED)
def test_a_person_in_a_queue_without_an_operator_within_two_seconds_is_dropped(
    recount: Recount, more: list[Event], dropped: int
) -> None:
    assert recount(*queued_call(*more))["c1"].get("dropped", 0) == dropped


def test_a_call_that_ended_within_the_two_seconds_is_not_dropped(recount: Recount) -> None:
    assert "dropped" not in recount(*queued_call(detected("HUMAN"), until=4))["c1"]


def test_a_call_that_was_for_no_queue_is_not_dropped(recount: Recount) -> None:
    assert "dropped" not in recount(*answered(20), detected("HUMAN"))["c1"]
