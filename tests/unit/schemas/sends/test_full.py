"""Send results become facts about message, recipient and customer."""

from typing import Any

import orjson
import pytest

from tally.schemas.facts import AttemptResult, Claim, Claimed, CustomerSeen, Send
from tally.schemas.fields import digest, message_identifier
from tally.schemas.keys import FREE_FORM, Template, join_parts
from tally.schemas.sends.full import read_send
from tally.schemas.wamids import message_key

NUMBER = "106540352242922"
ACCEPTED: dict[str, Any] = {
    "tenant": "t1",
    "channel": "whatsapp",
    "campaign": "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e",
    "contact": {"id": 812, "phone": "+5553988888888", "wa_id": "555388888888"},
    "template": {"name": "promo_nov", "language": "pt-BR", "id": 99},
    "phone_number_id": NUMBER,
    "outcome": "accepted",
    "message_id": "wamid.HBgM1",
    "time": 1795350873904,
}


def facts(**fields: Any) -> list[Any]:
    routed = read_send(orjson.dumps(ACCEPTED | fields))
    assert routed.bad == []
    return [keyed.fact for keyed in routed.facts]


def bad(**fields: Any) -> list[str]:
    return [f"{found.reason} at {found.path}" for found in read_send(orjson.dumps(ACCEPTED | fields)).bad]


def test_an_accepted_send_is_a_fact_of_recipient_message_and_customer() -> None:
    routed = read_send(orjson.dumps(ACCEPTED))
    template = Template("promo_nov", "pt_BR")
    place = ("BR", "5553988888888")
    claim = Claim(1795350873904, "t1", ACCEPTED["campaign"], "812", "1", template, *place)
    message = digest(message_key(NUMBER, "wamid.HBgM1"))

    assert [(keyed.key, keyed.fact) for keyed in routed.facts] == [
        (
            join_parts("t1", ACCEPTED["campaign"], "812"),
            AttemptResult(
                "whatsapp", "1", "accepted", 1795350873904, template, "99", None, message, NUMBER, *place
            ),
        ),
        (message_key(NUMBER, "wamid.HBgM1"), Claimed(claim)),
        (
            join_parts(NUMBER),
            CustomerSeen(
                [message_identifier(message_key(NUMBER, "wamid.HBgM1")), b"p5553988888888", b"p555388888888"],
                send=Send(message, claim),
            ),
        ),
    ]


@pytest.mark.parametrize(
    ("contact", "place"),
    [
        ({"phone": "+1 809 555 0101", "user_id": "BR.1"}, ("DO", "18095550101")),
        ({"wa_id": "12045550101"}, ("CA", "12045550101")),
        ({"user_id": "BR.1"}, ("BR", "")),
        ({"phone": "999", "wa_id": "5511999990000"}, ("BR", "999")),
        ({"phone": "999", "user_id": "BR.1"}, ("BR", "999")),
        ({"phone": "120363@g.us"}, ("", "")),
        ({"user_id": "someone"}, ("", "")),
    ],
)
def test_a_send_goes_to_the_market_of_the_phone_else_of_the_business_scoped_id(
    contact: dict[str, str], place: tuple[str, str]
) -> None:
    result, claimed, _ = facts(contact=contact | {"id": "8"})

    assert (result.market, result.phone) == (claimed.claim.market, claimed.claim.phone) == place


def test_a_call_goes_from_its_pbx_to_the_market_of_its_phone() -> None:
    call = {"channel": "voice", "pbx": "pbx1", "call": {"action_id": "a1"}, "phone_number_id": None}
    dialled, result = facts(**call, contact={"id": "8", "phone": "+34600000000"}, message_id=None)

    assert (dialled.market, dialled.phone) == (result.market, result.phone) == ("ES", "34600000000")
    assert result.number == "pbx1"


def test_ids_may_be_integers_and_uuids_are_lower_case() -> None:
    upper = read_send(orjson.dumps(ACCEPTED | {"campaign": ACCEPTED["campaign"].upper(), "tenant": 7}))

    assert upper.facts[0].key == join_parts("7", ACCEPTED["campaign"], "812")


def test_a_service_message_resolves_its_waiting_state_and_counts_nothing() -> None:
    claimed, seen = facts(campaign=None, contact={"phone": "1"}, template=None)

    assert claimed == Claimed(Claim(1795350873904, "t1"))
    assert seen.send.claim.campaign == ""


def test_a_time_may_be_milliseconds_or_rfc_3339_with_zone() -> None:
    for written in ("2026-11-22T12:34:33.904Z", "2026-11-22t09:34:33.9049-03:00"):
        assert facts(time=written)[0].at_ms == facts(time=1795350873904)[0].at_ms


def test_free_form_sends_have_the_empty_template() -> None:
    assert facts(template=None)[0].template == FREE_FORM


def test_a_failure_keeps_its_raw_code() -> None:
    assert (
        facts(outcome="failed", message_id=None, error={"source": "meta", "code": 132000})[0].error
        == "meta:132000"
    )


@pytest.mark.parametrize("call", [{"action_id": None}, {"action_id": ""}, {"customer_leg": "second"}])
def test_a_voice_attempt_that_reached_no_pbx_needs_no_ids(call: dict[str, object]) -> None:
    error = {"source": "pbx", "code": 0}
    result = facts(channel="voice", outcome="failed", error=error, pbx="pbx01", call=call, template=None)

    assert [type(fact).__name__ for fact in result] == ["AttemptResult"]


def test_a_voice_request_is_a_fact_of_its_recipient() -> None:
    _, result = facts(
        channel="voice", outcome="requested", pbx="pbx01", call={"action_id": "a"}, template={"name": "s"}
    )

    assert result.channel == "voice"
    assert result.template == Template("s")


def test_unknown_fields_are_counted_and_ignored() -> None:
    seen = read_send(orjson.dumps(ACCEPTED | {"colour": "red"})).seen
    assert seen.count(("unknown_field", "send_result")) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"v": 2}, "unknown_version at $.v"),
        ({"v": "1"}, "wrong_type at $.v"),
        ({"v": True}, "wrong_type at $.v"),
        ({"tenant": None}, "missing_field at $.tenant"),
        ({"tenant": ""}, "bad_id at $.tenant"),
        ({"tenant": "a\0"}, "bad_id at $.tenant"),
        ({"tenant": "x" * 129}, "bad_id at $.tenant"),
        ({"tenant": 1.5}, "wrong_type at $.tenant"),
        ({"channel": "sms"}, "wrong_type at $.channel"),
        ({"outcome": None}, "missing_field at $.outcome"),
        ({"outcome": "requested"}, "wrong_type at $.outcome"),
        ({"outcome": "sent"}, "wrong_type at $.outcome"),
        ({"time": None}, "missing_field at $.time"),
        ({"time": "1795350873904"}, "bad_time at $.time"),
        ({"time": 1.0}, "bad_time at $.time"),
        ({"time": True}, "bad_time at $.time"),
        ({"time": -1}, "bad_time at $.time"),
        ({"time": "2026-11-22T12:34:33"}, "bad_time at $.time"),
        ({"time": "2026-02-30T12:34:33Z"}, "bad_time at $.time"),
        ({"contact": None}, "missing_field at $.contact"),
        ({"contact": {"phone": "1"}}, "missing_field at $.contact.id"),
        ({"contact": {"id": 1}}, "missing_field at $.contact.phone"),
        ({"contact": {"id": 1, "phone": 31201234567}}, "wrong_type at $.contact.phone"),
        ({"attempt": 0}, "wrong_type at $.attempt"),
        ({"template": {"language": "pt_BR"}}, "missing_field at $.template.name"),
        ({"template": "promo"}, "wrong_type at $.template"),
        ({"phone_number_id": 1}, "wrong_type at $.phone_number_id"),
        ({"phone_number_id": None}, "missing_field at $.phone_number_id"),
        ({"message_id": None}, "missing_field at $.message_id"),
        ({"outcome": "queued", "message_id": 7}, "wrong_type at $.message_id"),
        ({"outcome": "failed"}, "missing_field at $.error"),
        ({"outcome": "failed", "error": {"source": "moon", "code": 1}}, "wrong_type at $.error.source"),
        ({"outcome": "skipped"}, "missing_field at $.reason"),
        ({"outcome": "skipped", "reason": "x" * 65}, "too_large at $.reason"),
        ({"channel": "voice", "outcome": "requested"}, "missing_field at $.pbx"),
        (
            {"channel": "voice", "outcome": "requested", "pbx": "p", "call": {}},
            "missing_field at $.call.action_id",
        ),
    ],
)
def test_a_send_result_that_breaks_the_contract_is_bad(fields: dict[str, Any], reason: str) -> None:
    assert bad(**fields) == [reason]


def test_a_send_result_must_say_whether_it_belongs_to_a_campaign() -> None:
    without = {name: value for name, value in ACCEPTED.items() if name != "campaign"}

    assert [found.where for found in read_send(orjson.dumps(without)).bad] == ["missing_field at $.campaign"]
