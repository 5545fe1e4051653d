"""All numbers of campaigns together: the example of the read API, any order, and how numbers agree."""

from random import Random

from tally.simulator.campaign import campaign as simulate
from tally.simulator.population import Size
from tests.integration.recount.judge import Recount, pick
from tests.support.whatsapp_events import NOW, a_status, contact, hook, inbound, send, status


def test_the_example_of_the_read_api(recount: Recount) -> None:
    pricing = {"category": "marketing", "type": "regular"}
    stats = recount(
        send("queued", contact=contact("1", "1")),
        *(send(message_id=f"w{n}", contact=contact(f"{n}", f"{n}")) for n in (1, 2, 3)),
        send("failed", contact=contact("4", "4")),
        *(status(f"w{n}", "sent", pricing=pricing) for n in (1, 2)),
        status("w3", "sent"),
        status("w1", "delivered", NOW + 2, pricing=pricing),
        status("w2", "delivered", NOW + 4),
        status("w1", "read", NOW + 9),
        status("w2", "read", NOW + 8),
        status("w3", "failed", errors=[{"code": 131026}]),
        inbound(sender="1"),
    )

    expected = {
        **{"contacts": 4, "attempts": 4, "queued": 0, "accepted": 3, "failed_at_send": 1, "skipped": 0},
        **{"cancelled": 0, "duplicates": 0, "claimed_elsewhere": 0, "sent": 3, "delivered": 2},
        **{
            "delivered_implied": 0,
            "delivered_late": 0,
            "read": 2,
            "read_late": 0,
            "failed_after_send": 1,
            "failed_then_delivered": 0,
            "failed": 2,
            "in_flight": 0,
        },
        **{"contacts_accepted": 3, "replied": 1, "replied_last_touch": 1, "replied_quoted": 0, "clicked": 0},
        "clicked_implied": 0,
        "errors": {"meta:131026": 1, "meta:132000": 1},
        "pricing": {"marketing/regular": 2},
        "pricing_delivered": {"marketing/regular": 2},
        "time_to_deliver": {"count": 2, "p50_ms": 2000, "p95_ms": 4000, "p99_ms": 4000, "negative": 0},
        "time_to_read": {"count": 2, "p50_ms": 8000, "p95_ms": 9000, "p99_ms": 9000, "negative": 0},
    }
    found, of_template = stats["c1"], stats.templates["c1", "promo"]
    assert {"tenant": "t1", "campaign": "c1"}.items() <= found.items()
    assert {name: found[name] for name in expected} == expected
    named = {"tenant": "t1", "campaign": "c1", "template_name": "promo", "template_language": "nl"}
    assert named.items() <= of_template.items()
    assert {name: of_template[name] for name in expected} == expected


def test_the_replaced_system_counted_otherwise(recount: Recount) -> None:
    """The four messages with which the old function was measured: it read 1 of 2, and invented a reply."""
    stats = recount(
        *(send(message_id=f"w{n}", contact=contact(f"{n}", f"3160{n}")) for n in (1, 2, 3)),
        send("failed", contact=contact("4", "31604")),
        inbound(NOW - 31_536_000, sender="31601"),
        hook(statuses=[a_status("w1", "sent"), a_status("w1", "delivered"), a_status("w1", "read", NOW + 5)]),
        hook(statuses=[a_status("w2", "read"), a_status("w2", "delivered"), a_status("w3", "failed")]),
    )

    names = ("sent", "delivered", "read", "replied", "failed")
    assert pick(stats.old_way["c1"], "total", *names) == (4, 3, 2, 1, 1, 2)
    assert pick(stats["c1"], "attempts", *names) == (4, 2, 2, 2, 0, 2)


def test_recounting_again_in_the_same_database_gives_the_same(recount: Recount) -> None:
    events = send(message_id="w1"), status("w1", "read")

    assert recount(*events).everything == recount(*events).everything


def test_order_and_repetition_change_nothing(recount: Recount) -> None:
    records = simulate(Random(5), NOW, Size(contacts_per_campaign=25))
    once = sorted({(record.topic, record.value or b"") for record in records})
    everything = recount(*((record.topic, record.value) for record in records)).everything

    assert everything == recount(*once).everything
    assert everything == recount(*reversed(once)).everything


def test_the_numbers_of_a_campaign_agree_with_each_other(recount: Recount) -> None:
    records = simulate(Random(6), NOW, Size(contacts_per_campaign=60))
    campaigns, templates = recount(*((record.topic, record.value) for record in records)).everything

    for row in [*campaigns, *templates]:
        assert row["read"] <= row["delivered"] <= row["sent"] <= row["accepted"]
        assert row["read_late"] <= row["read"]
        assert row["delivered_late"] <= row["delivered"]
        assert (
            row["failed"] == sum(row["errors"].values()) == row["failed_at_send"] + row["failed_after_send"]
        )
        assert row["in_flight"] == row["accepted"] - row["delivered"] - row["failed_after_send"] >= 0
        assert row["replied_last_touch"] <= row["replied"] <= row["contacts_accepted"] <= row["accepted"]
    for row in campaigns:
        whose = [t for t in templates if (t["tenant"], t["campaign"]) == (row["tenant"], row["campaign"])]
        for name in (
            "contacts",
            "attempts",
            "accepted",
            "delivered",
            "delivered_late",
            "read",
            "read_late",
            "failed",
            "replied_quoted",
            "clicked",
            "clicked_implied",
        ):
            assert row[name] == sum(t[name] for t in whose)
