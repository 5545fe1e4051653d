"""What becomes of messages, as the recount in SQL counts it: stages, errors, prices, times."""

from typing import Any

from tests.integration.recount.judge import Recount, pick
from tests.support.whatsapp_events import NOW, PHONE, Event, a_status, contact, hook, send, status

NO_TIMES = {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "negative": 0}


STAGES = {
    # what was seen: sent, delivered, delivered_implied, read, in_flight
    (): (0, 0, 0, 0, 1),
    ("failed",): (0, 0, 0, 0, 0),
    ("deleted", "warning", "pending", "Sent", "some_status"): (0, 0, 0, 0, 1),
    ("sent",): (1, 0, 0, 0, 1),
    ("delivered",): (1, 1, 0, 0, 0),
    ("read",): (1, 1, 1, 1, 0),
    ("played",): (1, 1, 1, 1, 0),
    ("read", "delivered"): (1, 1, 0, 1, 0),
}


def test_a_later_stage_implies_the_earlier_ones(recount: Recount) -> None:
    events = []
    for seen in STAGES:
        events += [send(message_id=str(seen), campaign=str(seen)), *(status(str(seen), one) for one in seen)]
    stats = recount(*events)

    names = ("sent", "delivered", "delivered_implied", "read", "in_flight")
    assert {seen: pick(stats[str(seen)], *names) for seen in STAGES} == STAGES


def test_failed_and_delivered_is_delivered_in_either_order(recount: Recount) -> None:
    cases = [(sign, order) for sign in ("delivered", "read", "played") for order in (1, -1)]
    events = []
    for sign, order in cases:
        name = f"{sign}{order}"
        events += [
            send(message_id=name, campaign=name),
            status(name, "failed"),
            status(name, sign, NOW + order),
        ]
    stats = recount(*events)

    names = ("delivered", "failed_after_send", "failed_then_delivered", "failed", "in_flight", "errors")
    assert len(cases) == len(stats.campaigns)
    assert all(pick(row, *names) == (1, 0, 1, 0, 0, {}) for row in stats.campaigns.values())


def test_statuses_wait_for_their_send_result(recount: Recount) -> None:
    stats = recount(status("w1", "read"), status("w9", "read"), send(message_id="w1"))

    assert pick(stats["c1"], "accepted", "read") == (1, 1)


def test_a_status_at_another_business_number_is_of_another_message(recount: Recount) -> None:
    assert recount(send(message_id="w1"), status("w1", "read", number="n2"))["c1"]["sent"] == 0


def test_statuses_of_calls_and_of_other_fields_are_not_of_messages(recount: Recount) -> None:
    read = a_status("w1", "read")
    stats = recount(
        send(message_id="w1"),
        hook("calls", statuses=[read]),
        hook(statuses=[{**read, "type": "call"}]),
        hook("smb_message_echoes", statuses=[read]),
        hook("history", messages=[{"id": "m", "type": "text", "timestamp": str(NOW + 5), "from": PHONE}]),
    )
    of_old = recount(send(message_id="w1"), hook(statuses=[{**read, "type": "message", "timestamp": NOW}]))

    assert pick(stats["c1"], "sent", "replied") == (0, 0)
    assert of_old["c1"]["read"] == 1


def test_an_error_is_the_smallest_of_time_and_code_as_text(recount: Recount) -> None:
    def failed(message_id: str, at: int, *codes: Any) -> Event:
        return status(message_id, "failed", at, errors=[{"code": code} for code in codes])

    stats = recount(
        *(send(message_id=f"w{n}", contact=contact(f"{n}")) for n in range(7)),
        *(failed("w0", NOW + 2, 131026), failed("w0", NOW + 1, 131049)),
        failed("w1", NOW, 131049, 131026),
        *(status("w2", "failed", NOW), failed("w2", NOW + 9, "131047")),
        failed("w3", NOW, 4711),
        status("w4", "failed"),
        failed("w5", NOW, True),
        status("w6", "sent", errors=[{"code": 131000}]),
        *(
            send("failed", at=NOW + n, attempt=2, error={"source": "meta", "code": 132001 - n})
            for n in (0, 1)
        ),
        send("failed", attempt=3, error={"source": "platform", "code": "credit"}),
        send("failed", attempt=4, error={"source": "pbx", "code": 17}),
        send("failed", attempt=5, error={"source": "meta", "code": "250"}),
    )

    listed = {"meta:131049": 1, "meta:131026": 1, "meta:131047": 1, "meta:132001": 1, "meta:250": 1}
    assert {**listed, "meta:other": 1, "platform:other": 1, "pbx:17": 1, "other": 2} == stats["c1"]["errors"]
    assert stats["c1"]["failed"] == 10


def test_pricing_is_the_last_by_rank_of_status_then_time(recount: Recount) -> None:
    def priced(message_id: str, one: str, at: int, category: Any, **more: str) -> Event:
        return status(message_id, one, at, pricing={"category": category, **more})

    stats = recount(
        *(send(message_id=f"w{n}", contact=contact(f"{n}")) for n in range(8)),
        *(
            priced("w0", "sent", NOW + 9, "utility"),
            priced("w0", "delivered", NOW, "marketing", type="regular"),
        ),
        *(priced("w1", "failed", NOW + 9, "utility"), priced("w1", "sent", NOW, "service")),
        *(
            priced("w2", "read", NOW + 1, "service"),
            priced("w2", "read", NOW + 2, "authentication-international"),
        ),
        priced("w3", "sent", NOW, "of_next_year", type="free_tomorrow"),
        *(status("w4", "sent", pricing={}), status("w5", "sent", pricing=None)),
        *(
            priced("w6", "failed", NOW, "marketing", type="free_entry_point"),
            priced("w6", "odd", NOW - 1, "service"),
        ),
        *(priced("w7", "played", NOW, "group_utility"), priced("w7", "read", NOW + 5, "service")),
        priced("w9", "sent", NOW, "marketing"),
    )

    assert stats["c1"]["pricing"] == {
        "marketing/regular": 1,
        "service/unknown": 1,
        "authentication-international/unknown": 1,
        "other/other": 1,
        "unknown/unknown": 1,
        "marketing/free_entry_point": 1,
        "group_utility/unknown": 1,
    }
    delivered = {
        "marketing/regular": 1,
        "authentication-international/unknown": 1,
        "group_utility/unknown": 1,
    }
    assert stats["c1"]["pricing_delivered"] == delivered


def test_times_are_from_the_whole_second_of_acceptance_by_nearest_rank(recount: Recount) -> None:
    stats = recount(
        *(send(message_id=f"w{n}", at=NOW + 0.9, contact=contact(f"{n}")) for n in range(1, 24)),
        *(status(f"w{n}", "delivered", NOW + n) for n in range(1, 21)),
        status("w1", "delivered", NOW + 500),
        status("w21", "delivered", NOW - 1),
        status("w22", "read", NOW + 7),
        *(status("w23", "read", NOW + 9), status("w23", "played", NOW + 8)),
    )

    expected = {"count": 20, "p50_ms": 10_000, "p95_ms": 19_000, "p99_ms": 20_000, "negative": 1}
    assert expected == stats["c1"]["time_to_deliver"]
    assert stats["c1"]["time_to_read"] == {
        **NO_TIMES,
        "count": 2,
        "p50_ms": 7000,
        "p95_ms": 8000,
        "p99_ms": 8000,
    }


def test_percentiles_of_nothing_are_null(recount: Recount) -> None:
    assert pick(recount(send("queued"))["c1"], "time_to_deliver", "time_to_read") == (NO_TIMES, NO_TIMES)
