"""What became of every join of a queue, who waits now, and how long whoever was connected had waited.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

import pytest

from tally.schemas.waiting import Caller
from tally.tables.rules import Rules
from tests.support.call_judges import Recount
from tests.support.call_packets import (
    CUSTOMER,
    NOW,
    OPERATOR,
    PBX,
    UP,
    Channel,
    Event,
    agent,
    answered,
    answers,
    born,
    detected,
    enter,
    fully_booted,
    hangup,
    listed,
    local,
    queue,
    request,
    rings,
    talk,
)

JOINED = [*answered(98)[:-1], queue(3, "Join", CUSTOMER)]
CALLED = [*rings(4, OPERATOR, by=CUSTOMER), agent(4, "Called", CUSTOMER, OPERATOR, "PJSIP/alice")]
LEFT = [*CALLED, *answers(12, OPERATOR, by=CUSTOMER), queue(12.5, "Leave", CUSTOMER)]
CONNECTED = [*LEFT, enter(13.9, CUSTOMER), enter(13.9, OPERATOR)]
ONE, TWO = local("201@desk-03", "q1", "q2", "a")

ENDS: dict[str, tuple[list[Event], dict[str, int]]] = {
    "no end yet": ([], {"waiting": 1}),
    "an operator's phone rings": (CALLED, {"waiting": 1}),
    "an operator picked up and is not connected yet": (LEFT, {"waiting": 1}),
    "an operator picked up behind a Local channel and is not connected yet": (
        [
            *(born(4, ONE), born(4, TWO), *rings(4, ONE, by=CUSTOMER), *rings(4, OPERATOR, by=TWO)),
            agent(4, "Called", CUSTOMER, ONE, "Local/201@desk/n"),
            *(*answers(12, OPERATOR, by=TWO), *answers(12, ONE, by=CUSTOMER), queue(12.5, "Leave", CUSTOMER)),
        ],
        {"waiting": 1},
    ),
    "an operator picked up and hung up again": ([*LEFT, hangup(13, OPERATOR)], {"timeouts": 1}),
    "an operator": (CONNECTED, {"connects": 1}),
    "an operator, though nobody saw the customer leave": (
        [*CALLED, *talk(13.9, 20, CUSTOMER, OPERATOR)],
        {"connects": 1},
    ),
    "the queue gave up": ([queue(9, "Abandon", CUSTOMER), queue(9.1, "Leave", CUSTOMER)], {"timeouts": 1}),
    "the dialplan took the customer away": ([queue(9, "Leave", CUSTOMER)], {"timeouts": 1}),
    "the customer hung up": (
        [request(9, CUSTOMER), queue(9, "Abandon", CUSTOMER), hangup(9.1, CUSTOMER)],
        {"abandoned": 1},
    ),
    "the customer hung up, and nobody saw how": ([hangup(9, CUSTOMER)], {"timeouts": 1}),
    "the PBX restarted": ([fully_booted(100, 10)], {"timeouts": 1}),
    "the PBX lists the customer": (listed(100, CUSTOMER), {"waiting": 1}),
    "joined again": (
        [queue(9, "Leave", CUSTOMER), queue(10, "Join", CUSTOMER)],
        {"timeouts": 1, "waiting": 1},
    ),
    "in two queues": ([queue(5, "Join", CUSTOMER, "care")], {"waiting": 1}),
}


@pytest.mark.parametrize(("ended", "ends"), ENDS.values(), ids=ENDS)
def test_every_join_has_one_end(recount: Recount, ended: list[Event], ends: dict[str, int]) -> None:
    stats = recount(*JOINED, *ended)
    row = stats["c1"]

    of_sales = {name.removeprefix("sales/"): n for name, n in row["queues"].items() if "sales/" in name}
    whats = ("joins", "connects", "abandoned", "timeouts", "waiting")
    assert {what: of_sales[what] for what in whats if what in of_sales} == {
        "joins": sum(ends.values()),
        **ends,
    }
    assert row.get("queue_timeouts", 0) == ends.get("timeouts", 0)
    assert row.get("queue_waiting", 0) == ends.get("waiting", 0) + ("care/waiting" in row["queues"])
    assert len([one for one in stats.waiting if one.queue == "sales"]) == ends.get("waiting", 0)


def test_callers_wait_since_their_last_join_whether_of_a_campaign_or_not(recount: Recount) -> None:
    stranger = Channel("x", "PJSIP/trunk-00000004")
    owner = {"tenant": "t2", "tenants": "any"}
    again = [queue(5, "Leave", CUSTOMER), queue(7.5, "Join", CUSTOMER)]
    came = (born(8, stranger), queue(9, "Join", stranger, "care"))
    inbound = [(topic, body, headers | owner) for topic, body, headers in came]
    stats = recount(*JOINED, *again, *inbound)

    assert stats.waiting == {
        Caller("t1", PBX, "sales", "a"): NOW * 1000 + 7500,
        Caller("t2", PBX, "care", "x"): NOW * 1000 + 9000,
    }
    assert recount(*JOINED, *again, *inbound, hangup(20, stranger), hangup(21, CUSTOMER)).waiting == {}


def test_the_wait_of_a_connect_is_from_the_last_join_before_it(recount: Recount) -> None:
    again = [queue(5, "Leave", CUSTOMER), queue(7.5, "Join", CUSTOMER), *CONNECTED]

    assert recount(*JOINED, *CONNECTED)["c1"]["queue_waits"] == {"sales/10": 1}
    assert recount(*JOINED, *again)["c1"]["queue_waits"] == {"sales/6": 1}


@pytest.mark.parametrize(
    ("waited", "bucket"),
    [(0, "0"), (0.9, "0"), (1, "1"), (49.9, "49"), (51, "51"), (100, "100"), (3600, "3589")],
)
def test_long_waits_share_buckets(recount: Recount, waited: float, bucket: str) -> None:
    taken = [agent(4, "Called", CUSTOMER, OPERATOR, "PJSIP/a"), *talk(3 + waited, 9999, CUSTOMER, OPERATOR)]

    assert recount(*answered(8000), queue(3, "Join", CUSTOMER), *taken)["c1"]["queue_waits"] == {
        f"sales/{bucket}": 1
    }


def test_a_connect_without_a_join_of_its_queue_counts_a_join_and_no_wait(recount: Recount) -> None:
    """Whom an attended transfer passes to a queue was put there by the join of another channel."""
    row = recount(*answered(98), *CONNECTED)["c1"]

    assert (row["queues"]["sales/joins"], row["queues"]["sales/connects"]) == (1, 1)
    assert "queue_waits" not in row


UNKNOWN = Rules(unknown_is_human=True)


@pytest.mark.parametrize(
    ("verdict", "rules", "counted"),
    [
        ([], Rules(), {}),
        ([], UNKNOWN, {"answered_human": 1, "dropped": 1}),
        ([detected("MACHINE")], UNKNOWN, {"answered_machine": 1}),
        ([detected("NOTSURE")], UNKNOWN, {"answered_unknown": 1}),
    ],
)
def test_by_a_rule_calls_without_a_verdict_were_answered_by_a_person(
    recount: Recount, verdict: list[Event], rules: Rules, counted: dict[str, int]
) -> None:
    row = recount(*answered(20), queue(3, "Join", CUSTOMER), *verdict, rules=rules)["c1"]

    said = ("answered_human", "answered_machine", "answered_unknown", "dropped")
    assert {name: row[name] for name in said if name in row} == counted
    assert {name: row[name] for name in UP} == UP
