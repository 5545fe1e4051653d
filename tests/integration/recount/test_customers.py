"""Who is one customer, as the recount in SQL joins identifiers."""

from random import Random
from typing import cast

import pytest

from tests.integration.recount.judge import Counters, Recount, pick
from tests.support.whatsapp_events import NOW, PHONE, Event, contact, hook, inbound, send, status, template


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
