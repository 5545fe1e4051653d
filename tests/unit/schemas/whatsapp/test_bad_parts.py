"""What of a webhook cannot be read is named by its path, and costs nothing beside it."""

from typing import Any

import pytest

from tally.schemas.facts import CustomerSeen
from tally.schemas.whatsapp.full import read_webhook
from tests.support.webhooks import body, message, messages, status


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (status(id=None), "missing_field at .id"),
        (status(id=7), "wrong_type at .id"),
        (status(id=""), "bad_id at .id"),
        (status(id="a\0b"), "bad_id at .id"),
        (status(id="x" * 513), "bad_id at .id"),
        (status(status=None), "missing_field at .status"),
        (status(status=3), "wrong_type at .status"),
        (status(timestamp=None), "missing_field at .timestamp"),
        (status(timestamp="soon"), "bad_time at .timestamp"),
        (status(timestamp=-1), "bad_time at .timestamp"),
        (status(timestamp=1.5), "bad_time at .timestamp"),
        (status(timestamp=True), "bad_time at .timestamp"),
        (status(timestamp="٣"), "bad_time at .timestamp"),
        ("no object", "wrong_type at "),
    ],
)
def test_a_bad_status_is_named_by_its_path_and_its_neighbours_count(part: Any, reason: str) -> None:
    routed = read_webhook(body(messages(statuses=[status(), part, status(id="wamid.3")])))
    path = reason.replace("at ", "at $.entry[0].changes[0].value.statuses[1]")

    assert [f"{found.reason} at {found.path}" for found in routed.bad] == [path]
    assert len(routed.facts) == 4


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (status(recipient_id=16505551234), ".recipient_id"),
        (status(recipient_user_id=["US.1"]), ".recipient_user_id"),
        (message(**{"from": 7, "from_user_id": "US.1"}), ".from"),
        (message(context="wamid.1"), ".context"),
        (message(context={"id": 7}), ".context.id"),
        (message(type="system", system="moved", from_user_id="US.1"), ".system"),
        (message(type="system", system={"wa_id": 7, "user_id": "US.1"}), ".system.wa_id"),
    ],
)
def test_what_cannot_be_read_of_a_status_or_message_costs_only_itself(
    part: dict[str, Any], path: str
) -> None:
    kind = "messages" if "from" in part else "statuses"
    value: dict[str, Any] = {kind: [part]}
    routed = read_webhook(body(messages(**value)))

    assert [f"{found.reason} at {found.path}" for found in routed.bad] == [
        f"wrong_type at $.entry[0].changes[0].value.{kind}[0]{path}"
    ]
    assert routed.facts


def test_a_contact_of_which_one_id_cannot_be_read_still_links_the_others() -> None:
    contact = {"wa_id": 7, "user_id": "US.1", "parent_user_id": "US.2"}
    routed = read_webhook(body(messages(contacts=[contact])))

    assert [keyed.fact for keyed in routed.facts] == [CustomerSeen([b"uUS.1", b"uUS.2"])]
    assert [one.where for one in routed.bad] == [
        "wrong_type at $.entry[0].changes[0].value.contacts[0].wa_id"
    ]


def test_a_reply_whose_only_sender_cannot_be_read_is_no_reply_and_quotes_nothing() -> None:
    reply = message(**{"from": 7, "context": {"id": "wamid.1"}})
    routed = read_webhook(body(messages(messages=[reply])))

    assert not routed.facts
    assert [found.path.rpartition(".")[2] for found in routed.bad] == ["from", "from"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "not_json at $"),
        (b"", "not_json at $"),
        (b"{", "not_json at $"),
        (b"\xff{}", "not_text at $"),
        (b"\xef\xbb\xbf{}", "not_json at $"),
        (b"[]", "wrong_type at $"),
        (b"null", "wrong_type at $"),
        (b'{"entry":[]}', "missing_field at $.object"),
        (b'{"object":null,"entry":[]}', "missing_field at $.object"),
        (b'{"object":"page","entry":[]}', "unknown_object at $.object"),
        (b'{"object":"whatsapp_business_account"}', "missing_field at $.entry"),
        (b'{"object":"whatsapp_business_account","entry":{}}', "wrong_type at $.entry"),
        (b'{"object":"whatsapp_business_account","entry":[{}]}', "missing_field at $.entry[0].changes"),
        (b'{"a":NaN}', "not_json at $"),
        (b'"\\ud800"', "not_json at $"),
        (b"[" * 1_025 + b"]" * 1_025, "not_json at $"),
        (b"[" * 70_000, "not_json at $"),
        (b"[" * 100_000, "too_many_parts at $"),
        (b" " * (4 << 20) + b"{}", "too_large at $"),
    ],
)
def test_a_body_that_cannot_be_read_is_bad_as_a_whole(raw: bytes | None, reason: str) -> None:
    routed = read_webhook(raw)

    assert [found.where for found in routed.bad] == [reason]
    assert routed.facts == []


@pytest.mark.parametrize("name", ["contacts", "messages", "errors"])
def test_a_list_that_is_none_is_a_bad_part_and_the_lists_beside_it_count(name: str) -> None:
    value: dict[str, Any] = {"statuses": [status()], name: {"code": 1}}
    routed = read_webhook(body(messages(**value)))

    assert [one.where for one in routed.bad] == [f"wrong_type at $.entry[0].changes[0].value.{name}"]
    assert len(routed.facts) == len(read_webhook(body(messages(statuses=[status()]))).facts) > 0
