"""The definitions of the counters, one by one, as the recount in SQL implements them.

Every expected number here was worked out by hand from docs/counters.md.
"""

import asyncio
import json
from collections.abc import Callable
from importlib.resources import files
from random import Random
from typing import Any, cast

import asyncpg
import pytest

from tally.oracle.recount import begin
from tally.simulator.campaign import campaign as simulate
from tally.simulator.poison import poisons
from tally.simulator.population import Size
from tests.support.languages import LANGUAGES

Event = tuple[str, bytes | None]
Counters = dict[str, Any]

SQL = (files("tally.oracle") / "recount.sql").read_text()
SQL_OLD = (files("tally.oracle") / "recount_old.sql").read_text()
COLUMNS = ("topic", "kafka_partition", "kafka_offset", "body")
CAMPAIGNS = "SELECT * FROM recount.campaign_stats ORDER BY 1, 2"
TEMPLATES = "SELECT * FROM recount.campaign_template_stats ORDER BY 1, 2, 3, 4"
OLD_WAY = "SELECT * FROM recount.old_way"
NOW = 1_795_350_000  # unix seconds
WEEK = 604_800
PHONE = "31600000001"
NO_TIMES = {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "negative": 0}


class Recounted:
    """What the recount says, by campaign and by template."""

    def __init__(self, campaigns: list[Counters], templates: list[Counters], old_way: list[Counters]) -> None:
        self.campaigns = {row["campaign"]: row for row in campaigns}
        self.templates = {(row["campaign"], row["template_name"]): row for row in templates}
        self.old_way = {row["campaign"]: row for row in old_way}
        self.everything = (campaigns, templates)

    def __getitem__(self, campaign: str) -> Counters:
        return self.campaigns[campaign]


Recount = Callable[..., Recounted]


@pytest.fixture
def recount(recount_database: str) -> Recount:
    def run(*events: Event) -> Recounted:
        return asyncio.run(_recount(recount_database, list(events)))

    return run


async def _recount(dsn: str, events: list[Event]) -> Recounted:
    connection = await asyncpg.connect(dsn, timeout=20, command_timeout=120)
    try:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await begin(connection)
        rows = [(topic, nth % 4, nth // 4, value) for nth, (topic, value) in enumerate(events)]
        await connection.copy_records_to_table("raw", schema_name="recount", records=rows, columns=COLUMNS)
        await connection.execute(SQL)
        await connection.execute(SQL_OLD)
        campaigns, templates, old_way = [
            [dict(row) for row in await connection.fetch(query)] for query in (CAMPAIGNS, TEMPLATES, OLD_WAY)
        ]
    finally:
        await connection.close()
    return Recounted(campaigns, templates, old_way)


def send(
    outcome: str = "accepted",
    message_id: str | None = None,
    at: float = NOW,
    campaign: Any = "c1",
    **fields: Any,
) -> Event:
    body: Counters = {
        "tenant": "t1",
        "channel": "whatsapp",
        "campaign": campaign,
        "contact": {"id": "a", "phone": f"+{PHONE}"},
        "template": {"name": "promo", "language": "nl"},
        "phone_number_id": "n1",
        "outcome": outcome,
        "time": int(at * 1000),
        **fields,
    }
    if message_id:
        body["message_id"] = message_id
    if outcome == "failed":
        body.setdefault("error", {"source": "meta", "code": 132000})
    if outcome in ("skipped", "cancelled"):
        body.setdefault("reason", "opted_out")
    return "send-results", json.dumps(body).encode()


def template(name: str) -> Counters:
    return {"name": name, "language": "nl"}


def contact(name: str, phone: str = PHONE, **more: str) -> Counters:
    return {"id": name, "phone": phone, **more}


def hook(field: str = "messages", number: str = "n1", **value: Any) -> Event:
    change = {"field": field, "value": {"metadata": {"phone_number_id": number}, **value}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": [change]}]}
    return "webhook-events", json.dumps(body).encode()


def a_status(message_id: str, status: str, at: int = NOW, **fields: Any) -> Counters:
    return {"id": message_id, "status": status, "timestamp": str(at), **fields}


def status(message_id: str, status: str, at: int = NOW, number: str = "n1", **fields: Any) -> Event:
    return hook(number=number, statuses=[a_status(message_id, status, at, **fields)])


def inbound(
    at: int = NOW + 60, type: str = "text", number: str = "n1", sender: str | None = None, **fields: Any
) -> Event:
    by_default = None if "from_user_id" in fields else PHONE
    who = {"from": sender or by_default}
    message = {"id": f"in-{at}-{type}", "type": type, "timestamp": str(at), **who, **fields}
    return hook(number=number, messages=[message])


def pick(counters: Counters, *names: str) -> tuple[Any, ...]:
    return tuple(counters[name] for name in names)


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


def test_no_events_are_no_rows(recount: Recount) -> None:
    assert recount().everything == ([], [])


def test_queued_counts_only_while_nothing_else_is_known(recount: Recount) -> None:
    stats = recount(send("queued", contact={"id": "a"}), send("queued", contact={"id": "b"}), send("skipped"))

    assert pick(stats["c1"], "contacts", "attempts", "queued", "skipped") == (2, 2, 1, 1)


@pytest.mark.parametrize(
    ("outcomes", "counted"),
    [
        (("queued", "skipped"), "skipped"),
        (("skipped", "cancelled"), "cancelled"),
        (("cancelled", "failed"), "failed_at_send"),
        (("failed", "accepted"), "accepted"),
    ],
)
def test_an_attempt_is_its_highest_ranked_outcome(
    recount: Recount, outcomes: tuple[str, str], counted: str
) -> None:
    stats = recount(
        *(send(one, "w1" if one == "accepted" else None, NOW - n) for n, one in enumerate(outcomes))
    )

    names = ("queued", "skipped", "cancelled", "failed_at_send", "accepted")
    assert {name: int(name == counted) for name in names} == {name: stats["c1"][name] for name in names}
    assert ({"meta:132000": 1} if counted == "failed_at_send" else {}) == stats["c1"]["errors"]


def test_a_contact_goes_to_the_template_of_its_latest_attempt(recount: Recount) -> None:
    stats = recount(
        send("failed", at=NOW + 9, template=template("first")),
        send("queued", at=NOW, template=template("first")),
        send(message_id="w2", at=NOW + 5, attempt=2, template=template("second")),
    )

    assert pick(stats.templates["c1", "first"], "contacts", "attempts", "accepted", "failed") == (0, 1, 0, 1)
    assert pick(stats.templates["c1", "second"], "contacts", "attempts", "accepted", "failed") == (1, 1, 1, 0)
    assert pick(stats["c1"], "contacts", "attempts", "accepted", "failed") == (1, 2, 1, 1)


def test_of_attempts_of_the_same_time_the_largest_as_text_is_the_latest(recount: Recount) -> None:
    stats = recount(
        send("failed", attempt=10, template=template("ten")),
        send("failed", attempt=2, template=template("two")),
    )

    assert (stats.templates["c1", "ten"]["contacts"], stats.templates["c1", "two"]["contacts"]) == (0, 1)


def test_where_results_of_one_attempt_differ_the_template_of_the_highest_ranked_outcome_counts(
    recount: Recount,
) -> None:
    stats = recount(
        send("queued", template=template("a")),
        send("failed", template=template("z")),
        send("failed", template=template("b")),
    )

    assert {("c1", "b")} == set(stats.templates)


def test_a_second_message_of_one_attempt_is_a_message_and_no_attempt(recount: Recount) -> None:
    stats = recount(send(message_id="w1"), send(message_id="w2"), send(message_id="w2"), status("w2", "read"))

    names = ("contacts", "attempts", "accepted", "duplicates", "read", "contacts_accepted")
    assert pick(stats["c1"], *names) == (1, 1, 2, 1, 1, 1)


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


def test_a_wamid_has_one_claim_and_the_others_count_nowhere(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", at=NOW + 1, campaign="c1"),
        send(message_id="w1", at=NOW, campaign="c2"),
        status("w1", "read"),
        inbound(context={"id": "w1"}),
    )

    names = ("accepted", "read", "contacts_accepted", "replied", "replied_last_touch", "replied_quoted")
    assert pick(stats["c1"], *names) == (0, 0, 0, 0, 0, 0)
    assert pick(stats["c2"], *names) == (1, 1, 1, 1, 1, 1)


def test_of_claims_of_the_same_time_the_smallest_wins(recount: Recount) -> None:
    stats = recount(
        *(send(message_id="w1", campaign=c, contact=contact(f"x{c}")) for c in ("c3", "c10", "c2"))
    )

    assert {name: row["accepted"] for name, row in stats.campaigns.items()} == {"c10": 1, "c2": 0, "c3": 0}


def test_a_campaigns_claim_beats_an_earlier_service_message(recount: Recount) -> None:
    stats = recount(send(message_id="w1", at=NOW - 9, campaign=None), send(message_id="w1"))

    assert stats["c1"]["accepted"] == 1


def test_every_attempt_but_the_winner_has_its_message_claimed_elsewhere(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", at=NOW, campaign="c1"),
        send(message_id="w1", at=NOW + 1, campaign="c1", attempt=2, template=template("again")),
        send(message_id="w1", at=NOW + 2, campaign="c2", tenant="t2", template=template("a")),
        send(message_id="w1", at=NOW + 3, campaign="c2", tenant="t2", contact=contact("b")),
    )

    assert pick(stats["c1"], "attempts", "accepted", "claimed_elsewhere", "duplicates") == (2, 1, 1, 0)
    assert pick(stats["c2"], "attempts", "accepted", "claimed_elsewhere", "duplicates") == (2, 0, 2, 0)
    assert {name: row["claimed_elsewhere"] for name, row in stats.templates.items()} == {
        **{("c1", "promo"): 0, ("c1", "again"): 1, ("c2", "a"): 1, ("c2", "promo"): 1}
    }


def test_an_attempt_that_claims_its_message_again_claims_nothing_elsewhere(recount: Recount) -> None:
    id_in_capitals = "0B5E2C1E-7F7A-4A59-9D0E-2F3A4B5C6D7E"
    stats = recount(
        send(message_id="w1", campaign="c1"),
        send(message_id="w1", campaign="c1", at=NOW + 1, template=template("a")),
        send(message_id="w2", campaign="c2", attempt=id_in_capitals),
        send(message_id="w2", campaign="c2", attempt=id_in_capitals.lower(), at=NOW + 1),
    )

    for campaign in ("c1", "c2"):
        assert pick(stats[campaign], "attempts", "accepted", "claimed_elsewhere") == (1, 1, 0)


def test_of_an_others_claims_the_smallest_names_its_template(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", campaign="c1"),
        send(message_id="w1", campaign="c2", at=NOW + 2, template=template("a")),
        send(message_id="w1", campaign="c2", at=NOW + 1, template=template("z")),
    )

    assert stats.templates["c2", "z"]["claimed_elsewhere"] == 1
    assert stats["c2"]["claimed_elsewhere"] == 1


def test_a_service_message_claims_nothing_elsewhere_and_takes_nothing_away(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", campaign=None, at=NOW - 1),
        send(message_id="w1"),
        send(message_id="w1", campaign=None, tenant="t2", at=NOW + 1),
    )

    assert list(stats.campaigns) == ["c1"]
    assert pick(stats["c1"], "accepted", "claimed_elsewhere") == (1, 0)


def test_the_same_wamid_at_two_business_numbers_is_two_messages_of_one_attempt(recount: Recount) -> None:
    stats = recount(send(message_id="w1"), send(message_id="w1", phone_number_id="n2"))

    assert pick(stats["c1"], "attempts", "accepted", "duplicates", "claimed_elsewhere") == (1, 2, 1, 0)


def test_service_messages_count_nothing(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", campaign=None),
        send(message_id="w2", campaign=None, contact={"phone": PHONE}),
        send("failed", campaign=None, contact=None),
        status("w1", "read"),
        inbound(),
    )

    assert stats.everything == ([], [])


def test_the_reply_window_includes_both_ends_in_whole_seconds(recount: Recount) -> None:
    expected = {-1: 0, 0: 1, 1: 1, WEEK - 1: 1, WEEK: 1, WEEK + 1: 0, -31_536_000: 0}
    events = []
    for n, offset in enumerate(expected):
        sent = send(message_id=f"w{n}", campaign=offset, at=NOW + 0.999, contact=contact("a", f"31{n}"))
        events += [sent, inbound(NOW + offset, sender=f"31{n}")]
    stats = recount(*events)

    assert {offset: stats[str(offset)]["replied"] for offset in expected} == expected
    assert {offset: stats[str(offset)]["replied_last_touch"] for offset in expected} == expected


def test_types_that_are_replies_and_types_that_are_not(recount: Recount) -> None:
    media = ["image", "video", "audio", "document", "sticker"]
    replies = ["text", *media, "button", "interactive", "order", "location", "contacts"]
    others = ["reaction", "system", "unsupported", "unknown", "edit", "revoke", "call", "voice", "Text"]
    stats = recount(
        *(send(message_id=f"w-{n}", contact=contact(str(n), f"{n}")) for n in range(1, 31)),
        *(inbound(type=one, sender=f"{n}") for n, one in enumerate(replies + others, start=1)),
    )

    assert len(replies) == stats["c1"]["replied"]


def test_a_reply_credits_every_campaign_in_whose_window_it_falls_and_the_last_touch_only_the_latest(
    recount: Recount,
) -> None:
    stats = recount(
        send(message_id="w0", campaign="c0", at=NOW - WEEK),
        send(message_id="w1", campaign="c1", at=NOW),
        send(message_id="w2", campaign="c2", at=NOW + 100),
        send(message_id="w3", campaign="c3", at=NOW + 200),
        send(message_id="w4", campaign=None, at=NOW + 110),
        inbound(NOW + 150),
    )

    assert {n: r["replied"] for n, r in stats.campaigns.items()} == {"c0": 0, "c1": 1, "c2": 1, "c3": 0}
    touched = {name: row["replied_last_touch"] for name, row in stats.campaigns.items()}
    assert touched == {"c0": 0, "c1": 0, "c2": 1, "c3": 0}


def test_of_sends_in_one_second_the_largest_is_the_last_touch(recount: Recount) -> None:
    stats = recount(
        send(message_id="w9", campaign="c1", at=NOW + 0.9),
        send(message_id="w1", campaign="c2", at=NOW + 0.1),
        inbound(),
    )

    assert (stats["c1"]["replied_last_touch"], stats["c2"]["replied_last_touch"]) == (0, 1)


def test_each_reply_has_its_own_last_touch(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", campaign="c1"),
        send(message_id="w2", campaign="c2", at=NOW + 100),
        inbound(NOW + 50),
        inbound(NOW + 150),
    )

    assert (stats["c1"]["replied_last_touch"], stats["c2"]["replied_last_touch"]) == (1, 1)


def test_people_are_distinct_per_template_and_again_per_campaign(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", template=template("a")),
        send(message_id="w2", template=template("b"), contact=contact("again")),
        inbound(),
    )

    names = ("contacts_accepted", "replied")
    assert pick(stats.templates["c1", "a"], *names) == (1, 1)
    assert pick(stats.templates["c1", "b"], *names) == (1, 1)
    assert pick(stats["c1"], *names) == (1, 1)
    assert stats["c1"]["contacts"] == 2
    touched = [stats.templates["c1", name]["replied_last_touch"] for name in ("a", "b")]
    assert touched == [0, 1]  # of the same second: the larger contact


def test_a_person_at_two_business_numbers_is_two_customers(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1"),
        send(message_id="w2", contact=contact("b"), phone_number_id="n2"),
        inbound(number="n2"),
    )

    assert pick(stats["c1"], "contacts_accepted", "replied") == (2, 1)


def test_a_phone_is_its_digits(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", contact=contact("a", "+31 (6) 0000-0001")),
        send(message_id="w2", contact=contact("b", "31600000001")),
        inbound(),
    )

    assert pick(stats["c1"], "contacts_accepted", "replied") == (1, 1)


def test_brazilian_numbers_meet_through_the_wamid(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", contact=contact("a", "+5553988888888")),
        status("w1", "sent", recipient_id="555388888888"),
        inbound(sender="555388888888"),
    )

    assert stats["c1"]["replied"] == 1


def test_the_wa_id_of_the_send_result_is_the_same_person(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", contact=contact("a", "+5553988888888", wa_id="555388888888")),
        inbound(sender="555388888888"),
    )

    assert stats["c1"]["replied"] == 1


PARENT = "US.ENT.1"


@pytest.mark.parametrize(
    "link",
    [
        status("w1", "delivered", recipient_user_id="US.1"),
        status("w1", "some_status", recipient_user_id="US.1"),
        status("w9", "sent", recipient_id=PHONE, recipient_user_id="US.1"),
        send("skipped", contact=contact("a", PHONE, user_id="US.1"), campaign="other"),
        hook(contacts=[{"wa_id": PHONE, "user_id": "US.1"}]),
        hook("calls", contacts=[{"wa_id": PHONE, "user_id": "US.1"}]),
        inbound(NOW - 99, "reaction", from_user_id="US.1", sender=PHONE),
        inbound(NOW - 99, "system", system={"user_id": "US.1"}, sender=PHONE),
        hook(
            "user_id_update",
            user_id_update=[{"wa_id": PHONE, "user_id": {"previous": "US.0", "current": "US.1"}}],
        ),
    ],
)
def test_a_phone_and_a_user_id_shown_together_are_one_customer(recount: Recount, link: Event) -> None:
    alone = send(message_id="w1"), inbound(from_user_id="US.1")

    assert recount(*alone)["c1"]["replied"] == 0
    assert recount(*alone, link)["c1"]["replied"] == 1


@pytest.mark.parametrize("key", ["recipient_parent_user_id", "parent_user_id", "parent_recipient_user_id"])
def test_parent_user_ids_are_known_under_all_their_names(recount: Recount, key: str) -> None:
    stats = recount(
        send(message_id="w1"),
        status("w1", "sent", **cast(Counters, {key: PARENT})),
        inbound(from_user_id="US.7", from_parent_user_id=PARENT),
    )

    assert stats["c1"]["replied"] == 1


@pytest.mark.parametrize("key", ["wa_id", "new_wa_id"])
def test_a_changed_number_is_the_same_customer(recount: Recount, key: str) -> None:
    stats = recount(
        send(message_id="w1"),
        inbound(NOW + 9, "system", system={"type": "user_changed_number", key: "317"}),
        inbound(sender="317"),
    )

    assert stats["c1"]["replied"] == 1


def test_a_changed_user_id_is_the_same_customer(recount: Recount) -> None:
    change = {
        "user_id": {"previous": "US.1", "current": "US.2"},
        "parent_user_id": {"previous": PARENT, "current": "US.ENT.2"},
    }
    stats = recount(
        send(message_id="w1", contact={"id": "a", "user_id": "US.1"}),
        send(message_id="w2", contact={"id": "b", "user_id": PARENT}),
        hook("user_id_update", user_id_update=[change]),
        inbound(from_user_id="US.2"),
    )

    assert pick(stats["c1"], "contacts_accepted", "replied") == (1, 1)


def test_the_participants_of_a_group_are_not_its_messages_recipient(recount: Recount) -> None:
    participant: Counters = {
        "recipient_type": "group",
        "recipient_id": "120363@g.us",
        "recipient_participant_id": "317",
        "recipient_participant_user_id": "US.7",
        "recipient_user_id": "US.8",
    }
    stats = recount(
        send(message_id="w1"),
        send(message_id="w2", contact=contact("b", "317"), campaign="c2"),
        status("w1", "read", **participant),
        inbound(from_user_id="US.7"),
        inbound(from_user_id="US.8"),
    )

    assert pick(stats["c1"], "read", "replied") == (1, 0)
    assert stats["c2"]["replied"] == 1


def test_links_hold_at_one_business_number_only(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1"),
        hook(number="n2", contacts=[{"wa_id": PHONE, "user_id": "US.1"}]),
        inbound(from_user_id="US.1"),
    )

    assert stats["c1"]["replied"] == 0


def test_customers_are_connected_components(recount: Recount) -> None:
    rng = Random(11)
    size, pairs = 400, [(rng.randrange(400), rng.randrange(400)) for _ in range(260)]
    pairs += [(n, n + 1) for n in range(300, 399)]  # a long chain
    rng.shuffle(pairs)
    root = list(range(size))

    def find(n: int) -> int:
        while root[n] != n:
            n = root[n]
        return n

    for one, other in pairs:
        root[find(one)] = find(other)
    stats = recount(
        *(send(message_id=f"w{n}", contact={"id": n, "user_id": f"US.{n}"}) for n in range(size)),
        *(hook(contacts=[{"user_id": f"US.{a}", "parent_user_id": f"US.{b}"}]) for a, b in pairs),
    )

    assert len({find(n) for n in range(size)}) == stats["c1"]["contacts_accepted"]


@pytest.mark.parametrize(("people", "reached", "replied"), [(19, 1, 1), (20, 1, 1), (21, 21, 1)])
def test_a_user_id_that_is_shown_with_more_than_20_phones_identifies_nobody(
    recount: Recount, people: int, reached: int, replied: int
) -> None:
    everybody = [f"316{nth:08d}" for nth in range(people)]
    stats = recount(
        *(send(message_id=f"w{phone}", contact=contact(phone, phone)) for phone in everybody),
        hook(contacts=[{"wa_id": phone, "user_id": "gateway"} for phone in everybody]),
        inbound(sender=everybody[0], from_user_id="gateway"),
    )

    assert pick(stats["c1"], "contacts_accepted", "replied") == (reached, replied)


@pytest.mark.parametrize("user_id", ["0", "000", "Unknown", "NULL"])
def test_an_identifier_that_is_written_like_none_identifies_nobody(recount: Recount, user_id: str) -> None:
    stats = recount(
        send(message_id="w1", contact=contact("a", "31600000001", user_id=user_id)),
        send(message_id="w2", contact=contact("b", "31600000002", user_id=user_id)),
        send(message_id="w3", contact=contact("c", "+000-000")),
        send(message_id="w4", contact=contact("d", "+000-000")),
        inbound(sender="31600000002", from_user_id=user_id),
    )

    # Of the messages to the phone of zeros each is a customer of its own.
    assert pick(stats["c1"], "contacts_accepted", "replied") == (4, 1)


def test_a_reply_without_a_sender_is_its_only_contacts(recount: Recount) -> None:
    said = {"id": "in", "type": "text", "timestamp": f"{NOW + 60}"}
    stats = recount(send(message_id="w1"), hook(messages=[said], contacts=[{"wa_id": PHONE}]))

    assert stats["c1"]["replied"] == 1


def test_a_message_is_quoted_by_any_type_and_clicked_by_buttons_only(recount: Recount) -> None:
    quotes = ["text", "reaction", "interactive", "button", "button", "unsupported"]
    stats = recount(
        *(send(message_id=f"w{n}", contact=contact(f"{n}", f"{n}")) for n in range(8)),
        *(inbound(NOW - n, one, context={"id": f"w{n}"}) for n, one in enumerate(quotes)),
        inbound(NOW + 9, "button", context={"id": "w4"}),
        inbound(NOW + 9, "reaction", reaction={"message_id": "w6"}),
        inbound(NOW + 9, "button"),
        inbound(NOW + 9, "text", context={"forwarded": True}),
        inbound(NOW + 9, "text", context={"id": "w7"}, number="n2"),
    )

    assert pick(stats["c1"], "replied_quoted", "clicked") == (6, 2)


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


def test_free_form_is_the_empty_name_and_a_star_is_a_template(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", template=None),
        send(message_id="w2", template=template("*"), contact=contact("b")),
        send(message_id="w3", contact=contact("c")),
    )

    assert {("c1", ""), ("c1", "*"), ("c1", "promo")} == set(stats.templates)
    assert stats["c1"]["accepted"] == 3


def test_languages_are_read_as_the_fold_reads_them(recount: Recount) -> None:
    written = [one for one in LANGUAGES if one.strip()]
    events = [
        send("queued", contact=contact(f"{nth}"), template={"name": f"t{nth}", "language": one})
        for nth, one in enumerate(written)
    ]
    stats = recount(*events)

    assert [stats.templates["c1", f"t{nth}"]["template_language"] for nth in range(len(written))] == [
        LANGUAGES[one] for one in written
    ]


def test_the_same_ids_are_written_in_many_ways(recount: Recount) -> None:
    uuid = "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e"
    stats = recount(
        send("queued", campaign=uuid, contact=contact("812"), template={"name": "x", "language": "pt-BR"}),
        send(
            "queued",
            campaign=uuid.upper(),
            contact=contact("812") | {"id": 812},
            attempt="1",
            template={"name": "x", "language": "PT_br", "id": 17},
            time="2026-11-22T12:34:34.5-03:00",
        ),
    )

    assert pick(stats[uuid], "contacts", "attempts") == (1, 1)
    assert stats.templates[uuid, "x"]["template_language"] == "pt_BR"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22T13:00:00Z",
        "2026-11-22t13:00:00.0009z",
        "2026-11-22T10:00:00-03:00",
        "2026-11-22T18:45:00.000+05:45",
    ],
)
def test_rfc_3339_is_the_same_moment(recount: Recount, written: str) -> None:
    at = 1_795_352_400  # 2026-11-22T13:00:00Z
    stats = recount(send(message_id="w1", time=written), status("w1", "delivered", at + 3))

    assert stats["c1"]["time_to_deliver"]["p50_ms"] == 3000


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


def test_a_bad_part_takes_nothing_along(recount: Recount) -> None:
    metadata = {"phone_number_id": "n1"}
    good, no_time = a_status("w1", "read"), {"id": "w2", "status": "read"}
    statuses: list[Any] = [None, "x", [], {}, {**no_time, "timestamp": True}, no_time, good]
    changes: list[Any] = [
        7,
        {"field": "messages", "value": {"statuses": [a_status("w2", "read")]}},
        {"field": "messages", "value": {"metadata": metadata, "statuses": {}, "messages": [{"id": 1}, None]}},
        {"field": "messages", "value": {"metadata": metadata, "statuses": statuses}},
    ]
    entries = [None, {"changes": "x"}, {"changes": changes}]
    body = {"object": "whatsapp_business_account", "entry": entries}
    stats = recount(
        send(message_id="w1"),
        send(message_id="w2", contact=contact("b")),
        ("webhook-events", json.dumps(body).encode()),
    )

    assert pick(stats["c1"], "accepted", "read") == (2, 1)


def test_poison_counts_nothing_and_disturbs_nothing(recount: Recount) -> None:
    bad = [(poison.topic, poison.value) for poison in poisons() if poison.reason]
    stats = recount(send(message_id="w1"), *bad, status("w1", "read"))

    assert list(stats.campaigns) == ["c1"]
    assert pick(stats["c1"], "attempts", "read") == (1, 1)


def test_what_the_poison_table_accepts_counts(recount: Recount) -> None:
    stats = recount(*((poison.topic, poison.value) for poison in poisons() if not poison.reason))

    assert {name: row["accepted"] for name, row in stats.campaigns.items()} == {"p1": 6, "p2": 1}


def test_a_float_is_no_integer_however_it_is_written(recount: Recount) -> None:
    topic, good = send("queued")
    floats = [
        (good or b"").replace(b'"id": "a"', b'"id": ' + number)
        for number in (b"1e3", b"1.0", b"10E-1", b"1e+2")
    ]

    assert recount(*((topic, body) for body in floats)).everything == ([], [])


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
