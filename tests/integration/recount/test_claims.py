"""Of all who claim one message, one counts it, as the recount in SQL says."""

from tests.integration.recount.judge import Recount, pick
from tests.support.whatsapp_events import NOW, PHONE, contact, inbound, send, status, template


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
