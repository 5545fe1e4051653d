"""Webhook bodies become facts: every entry, change, status and message, whatever its shape."""

from typing import Any

import pytest

from tally.schemas.facts import CustomerSeen, Inbound, Press, Pricing, Quoted, StatusSeen
from tally.schemas.fields import digest, message_identifier, phone_identifier
from tally.schemas.keys import join_parts
from tally.schemas.wamids import message_id, message_key
from tally.schemas.whatsapp.full import read_webhook
from tests.support.webhooks import NUMBER, body, message, messages, status

PHONE = b"p16505551234"
WAMID = message_identifier(message_key(NUMBER, "wamid.1"))


def facts(**value: Any) -> list[Any]:
    routed = read_webhook(body(messages(**value)))
    assert routed.bad == []
    return [keyed.fact for keyed in routed.facts]


def bad(raw: bytes) -> list[str]:
    return [bad.where for bad in read_webhook(raw).bad]


def test_a_status_is_a_fact_of_its_message_and_shows_its_recipient() -> None:
    routed = read_webhook(body(messages(statuses=[status()])))

    assert [keyed.key for keyed in routed.facts] == [message_key(NUMBER, "wamid.1"), join_parts(NUMBER)]
    assert [keyed.fact for keyed in routed.facts] == [
        StatusSeen("sent", 1750030073),
        CustomerSeen([WAMID, PHONE]),
    ]


def test_every_status_of_every_change_and_entry_counts() -> None:
    routed = read_webhook(
        body(
            messages(statuses=[status(), status(id="wamid.2")]), messages("2", statuses=[status(), status()])
        )
    )

    assert len(routed.facts) == 8


def test_a_timestamp_may_be_text_or_an_integer() -> None:
    assert facts(statuses=[status(timestamp=1750030073)]) == facts(statuses=[status()])


def test_a_status_without_recipient_is_a_fact_of_its_message_alone() -> None:
    assert facts(statuses=[{"id": "wamid.1", "status": "read", "timestamp": "1795350873"}]) == [
        StatusSeen("read", 1_795_350_873)
    ]


@pytest.mark.parametrize(
    "key", ["recipient_user_id", "recipient_parent_user_id", "parent_recipient_user_id", "parent_user_id"]
)
def test_a_recipient_is_known_by_a_business_scoped_id_under_any_of_its_names(key: str) -> None:
    _, seen = facts(statuses=[status(recipient_id=None, **{key: "US.1"})])

    assert seen == CustomerSeen([WAMID, b"uUS.1"])


@pytest.mark.parametrize("key", ["recipient_participant_id", "participant_recipient_id"])
def test_the_recipient_of_a_message_to_a_group_is_the_group_and_a_participant_is_somebody_else(
    key: str,
) -> None:
    to_group = {"recipient_id": "group-1", "recipient_type": "group", key: "16505551234"}
    _, group, participant = facts(statuses=[status(**to_group, recipient_participant_user_id="US.1")])

    assert group == CustomerSeen([WAMID, b"ngroup-1"])
    assert participant == CustomerSeen([PHONE, b"uUS.1"])


def test_the_price_of_a_message_to_a_group_stands_in_its_conversation() -> None:
    conversation = {"id": "c", "pricing": {"billable": True, "category": "group_marketing"}}
    seen = facts(statuses=[status(recipient_type="group", conversation=conversation)])[0]

    assert seen.pricing == Pricing(1, 1750030073, "group_marketing", "")


def test_what_is_written_in_a_group_is_of_the_group_whoever_writes_it() -> None:
    written = message(group_id="group-1", from_user_id="US.1", context={"id": "wamid.1"})

    assert facts(messages=[written]) == [
        CustomerSeen([b"ngroup-1"], inbound=Inbound(digest(message_id("wamid.in").part), 1750030099)),
        CustomerSeen([PHONE, b"uUS.1"]),
        Quoted(1750030099),
    ]
    assert bad(body(messages(messages=[message(group_id=7)]))) == [
        "wrong_type at $.entry[0].changes[0].value.messages[0].group_id"
    ]


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        ("16505551234", b"p16505551234"),
        ("+1 (650) 555-1234", b"p16505551234"),
        ("1.650.555.1234", b"p16505551234"),
        ("0", b"p0"),
        ("Y2FwaV9ncm91cDoxNTU1", b"nY2FwaV9ncm91cDoxNTU1"),
        ("120363418770915618@g.us", b"n120363418770915618@g.us"),
        ("US.1349", b"nUS.1349"),
        ("+", b"n+"),
        ("1650\t555", b"n1650\t555"),
        (chr(0x661) + chr(0x662), b"n" + bytes.fromhex("d9a1d9a2")),
        ("tel:1650", b"ntel:1650"),
    ],
)
def test_a_phone_is_what_is_written_like_one_and_any_other_text_is_a_name(
    written: str, identifier: bytes
) -> None:
    assert phone_identifier(written) == identifier


def test_a_failed_status_carries_the_smallest_code_of_its_errors() -> None:
    errors = [{"code": 131049, "title": "x"}, {"code": "131026"}, {"title": "no code"}]

    assert facts(statuses=[status(status="failed", errors=errors)])[0].error == "meta:131026"


@pytest.mark.parametrize("errors", [None, "x", ["x"], [{"code": True}], [{"code": None}]])
def test_a_failure_counts_whatever_shape_its_errors_have(errors: Any) -> None:
    assert facts(statuses=[status(status="failed", errors=errors)])[0] == StatusSeen("failed", 1750030073)


def test_a_single_error_need_not_stand_in_a_list() -> None:
    assert facts(statuses=[status(status="failed", errors={"code": 131026})])[0].error == "meta:131026"


def test_a_part_of_the_price_that_is_no_text_is_unknown() -> None:
    seen = facts(statuses=[status(pricing={"category": 5, "type": "regular"})])[0]

    assert seen.pricing == Pricing(1, 1750030073, "", "regular")


def test_errors_of_a_status_that_did_not_fail_are_no_failure() -> None:
    assert facts(statuses=[status(errors=[{"code": 1}])])[0].error is None


def test_pricing_is_ranked_by_its_status_and_missing_parts_are_empty() -> None:
    seen = facts(statuses=[status(status="read", pricing={"category": "marketing", "billable": True})])[0]

    assert seen.pricing == Pricing(3, 1750030073, "marketing", "")


@pytest.mark.parametrize("name", ["deleted", "warning", "pending", "a new one"])
def test_a_status_that_counts_nothing_passes_and_still_shows_its_recipient(name: str) -> None:
    assert facts(statuses=[status(status=name)]) == [CustomerSeen([WAMID, PHONE])]


@pytest.mark.parametrize("kind", ["call", "payment", "a new one", "", 7, ["message"]])
@pytest.mark.parametrize("name", ["sent", "failed", "RINGING"])
def test_the_statuses_of_anything_but_messages_pass_and_are_named(kind: object, name: str) -> None:
    routed = read_webhook(body(messages(statuses=[status(type=kind, status=name), status()])))

    assert routed.facts == read_webhook(body(messages(statuses=[status()]))).facts
    assert not routed.bad
    assert ("status", kind if kind in ("call", "payment") else "other") in routed.seen


@pytest.mark.parametrize("kind", ["message", None])
def test_a_status_of_type_message_is_one_without_a_type(kind: object) -> None:
    assert facts(statuses=[status(type=kind)]) == facts(statuses=[status()])


def test_the_statuses_of_calls_in_a_field_of_their_own_pass() -> None:
    call = {"field": "calls", "value": messages(statuses=[status()])["value"]}

    assert read_webhook(body(call)).facts == []


@pytest.mark.parametrize(
    "kind", ["text", "image", "audio", "sticker", "button", "interactive", "order", "contacts"]
)
def test_what_a_person_writes_is_a_reply(kind: str) -> None:
    press: Press = "alone" if kind == "button" else "none"
    assert facts(messages=[message(type=kind)]) == [
        CustomerSeen([PHONE], inbound=Inbound(digest(message_id("wamid.in").part), 1750030099, press))
    ]


@pytest.mark.parametrize("kind", ["reaction", "system", "unsupported", "edit", "revoke", "something new"])
def test_what_a_person_does_otherwise_is_no_reply(kind: str) -> None:
    assert facts(messages=[message(type=kind)]) == []


def test_a_message_that_quotes_another_is_a_fact_of_that_one_whatever_its_type() -> None:
    _, quoted = facts(messages=[message(context={"id": "wamid.1", "from": "15550783881"})])
    assert quoted == Quoted(1750030099)

    assert facts(messages=[message(type="reaction", context={"id": "wamid.1"})]) == [Quoted(1750030099)]


def test_only_the_press_of_a_template_button_is_a_click() -> None:
    assert facts(messages=[message(type="button", context={"id": "wamid.1"})])[1].clicked
    assert not facts(messages=[message(type="interactive", context={"id": "wamid.1"})])[1].clicked


def test_a_context_without_an_id_quotes_nothing() -> None:
    assert len(facts(messages=[message(context={"forwarded": True})])) == 1


def test_contacts_link_the_ids_that_they_show_together() -> None:
    contacts = [
        {"wa_id": "16505551234", "user_id": "US.1"},
        {"wa_id": "2"},
        {"user_id": "US.2", "parent_user_id": "US.ENT.2"},
    ]

    assert facts(contacts=contacts) == [
        CustomerSeen([PHONE, b"uUS.1"]),
        CustomerSeen([b"uUS.2", b"uUS.ENT.2"]),
    ]


def test_a_change_of_number_links_the_old_and_the_new() -> None:
    system = {
        "type": "user_changed_number",
        "wa_id": "12195555358",
        "user_id": "US.2",
        "previous_user_id": "US.1",
    }

    assert facts(messages=[message(type="system", system=system)]) == [
        CustomerSeen([PHONE, b"p12195555358", b"uUS.2", b"uUS.1"])
    ]


def test_a_user_id_update_links_the_previous_and_the_current_id() -> None:
    change = messages(
        user_id_update=[{"wa_id": "16505551234", "user_id": {"previous": "US.1", "current": "US.2"}}]
    )
    change["field"] = "user_id_update"
    routed = read_webhook(body(change))

    assert [keyed.fact for keyed in routed.facts] == [CustomerSeen([PHONE, b"uUS.1", b"uUS.2"])]


def test_a_message_without_sender_is_of_the_only_contact_beside_it() -> None:
    alone = message()
    del alone["from"]

    assert facts(messages=[alone], contacts=[{"user_id": "US.1"}]) == [
        CustomerSeen([b"uUS.1"], inbound=Inbound(digest(message_id("wamid.in").part), 1750030099))
    ]
    assert bad(body(messages(messages=[alone]))) == [
        "missing_field at $.entry[0].changes[0].value.messages[0].from"
    ]


def test_errors_of_the_account_are_counted_and_move_nothing() -> None:
    routed = read_webhook(body(messages(errors=[{"code": 130429}])))

    assert not routed.facts
    assert not routed.bad
    assert routed.seen.count(("value_error", "account")) == 1


def test_names_are_counted_from_closed_lists() -> None:
    routed = read_webhook(body(messages(statuses=[status(status="weird", something_new=1)])))

    assert routed.seen.count(("status", "other")) == 1
    assert routed.seen.count(("unknown_field", "status")) == 1
    assert routed.seen.count(("field", "messages")) == 1


def test_what_customers_do_without_a_message_is_counted_by_name() -> None:
    click = {"action_type": "marketing_messages_link_click", "timestamp": "1750030099"}
    routed = read_webhook(body(messages(user_actions=[click, {"action_type": "new"}, "x"])))

    assert routed.seen.count(("user_action", "marketing_messages_link_click")) == 1
    assert routed.seen.count(("user_action", "other")) == 2
    assert not routed.facts
    assert not routed.bad
