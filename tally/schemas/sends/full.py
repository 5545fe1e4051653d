"""Send results, version 1: what happened to one attempt to reach one contact (docs/producers.md)."""

from typing import Any, get_args

from tally.schemas.call_facts import CALL, Dialled
from tally.schemas.errors import BadEvent, Reason
from tally.schemas.facts import Channel, Outcome
from tally.schemas.fields import (
    A_TIME,
    MAX_ID,
    OBJECT,
    PRODUCERS_ID,
    checked_text,
    event_ms,
    latest_ms,
    meta_id,
    one_of,
    optional_meta_id,
    phone_identifier,
    producer_id,
    required,
    typed,
    user_identifier,
)
from tally.schemas.keys import FREE_FORM, Template, bounded_template, join_parts
from tally.schemas.numbers import NO_NUMBERS, Numbers
from tally.schemas.records import Routed, read_object
from tally.schemas.sends.facts import Checked, add_facts, whereabouts

CHANNELS: tuple[Channel, ...] = get_args(Channel)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
ERROR_SOURCES = ("meta", "platform", "pbx")
CALL_IDS = ("action_id", "channel_id", "unique_id", "linked_id")
LEGS = ("first", "second")
PHONES = ("phone", "wa_id")
MAX_REASON = 64

OF_A_MESSAGE = one_of(outcome for outcome in OUTCOMES if outcome != "requested")
A_CUSTOMER = one_of((*PHONES, "user_id"))
A_CALL = one_of(CALL_IDS)
A_REASON = f"text of at most {MAX_REASON} characters"

FIELDS = frozenset(
    {
        *("v", "tenant", "channel", "campaign", "contact", "attempt", "retry_of", "outcome", "template"),
        *("phone_number_id", "message_id", "pbx", "call", "error", "reason", "time"),
    }
)


def read_send(value: bytes | None, published_ms: int | None = None, numbers: Numbers = NO_NUMBERS) -> Routed:
    """Turn one send result into facts about the message, the recipient and the customer.

    `published_ms` is Kafka's time of the record: nothing in it happened more than a day later. `numbers` says
    whose business numbers are: what another tenant says of one is `foreign_number`.
    """
    routed = Routed()
    try:
        _read(read_object(value), latest_ms(published_ms), numbers, routed)
    except BadEvent as error:
        routed.refuse(error.bad)
    return routed


def _read(body: dict[str, Any], latest: int, numbers: Numbers, routed: Routed) -> None:
    _version(body)
    tenant = producer_id(required(body, "tenant", "$", PRODUCERS_ID), "$.tenant")
    channel = _one_of(body, "channel", CHANNELS)
    outcome = _one_of(body, "outcome", OUTCOMES)
    if channel == "whatsapp" and outcome == "requested":
        raise BadEvent("wrong_type", "$.outcome", OF_A_MESSAGE)
    if "campaign" not in body:
        raise BadEvent("missing_field", "$.campaign", f"{PRODUCERS_ID}, or null for a service message")
    campaign = None if body["campaign"] is None else producer_id(body["campaign"], "$.campaign")
    at_ms = event_ms(required(body, "time", "$", A_TIME), "$.time", latest)
    attempt = _attempt(body.get("attempt"))
    template = _template(body.get("template"), channel)
    contact, who = _contact(body, campaign is not None, outcome in ("accepted", "requested"))
    error = _error(body, outcome)
    _reason(body, outcome)
    for name in ("retry_of", "message_id"):
        optional_meta_id(body, name, "$")
    number = wamid = ""
    if channel == "whatsapp":
        number = meta_id(body, "phone_number_id", "$")
        if numbers.is_foreign(number, tenant):
            raise BadEvent("foreign_number", "$.phone_number_id", "a business number of the event's tenant")
        number = numbers.first_id(number)
        wamid = meta_id(body, "message_id", "$") if outcome == "accepted" else ""
    else:
        whom = (tenant, campaign or "", contact, attempt)
        number = _dialled(body, routed, whom, outcome, at_ms, template[0], who)
    routed.see("outcome", outcome, frozenset(OUTCOMES))
    routed.see_unknown("send_result", body, FIELDS)
    attempted = (tenant, campaign, contact, attempt, channel, outcome, at_ms, *template, error)
    add_facts(routed, Checked(*attempted, number, wamid, who))


def _version(body: dict[str, Any]) -> None:
    version = body.get("v")
    if version is None:
        return
    if typed(version, int, "$.v") != 1:
        raise BadEvent("unknown_version", "$.v", "1")


def _one_of(body: dict[str, Any], name: str, values: tuple[Any, ...], path: str = "$") -> Any:
    value = body.get(name)
    if value not in values:
        reason: Reason = "missing_field" if value is None else "wrong_type"
        raise BadEvent(reason, f"{path}.{name}", one_of(values))
    return value


def _attempt(attempt: Any) -> str:
    if attempt is None:
        return "1"
    if type(attempt) is int and attempt < 1:
        raise BadEvent("wrong_type", "$.attempt", "a whole number from 1 on, or text")
    return producer_id(attempt, "$.attempt")


def _template(template: Any, channel: Channel) -> tuple[Template, str]:
    """Return the template's identity and the producer's id for it; free-form without one."""
    if template is None:
        return FREE_FORM, ""
    template = typed(template, dict, "$.template")
    name = meta_id(template, "name", "$.template")
    if channel == "whatsapp":
        language = meta_id(template, "language", "$.template")
    else:
        language = optional_meta_id(template, "language", "$.template") or ""
    label = template.get("id")
    return (
        bounded_template(name, language),
        "" if label is None else producer_id(label, "$.template.id"),
    )


def _contact(body: dict[str, Any], has_campaign: bool, has_provider: bool) -> tuple[str, list[bytes]]:
    """Return the contact's id and the identifiers of the customer behind it."""
    contact = body.get("contact")
    if contact is None and not has_campaign and not has_provider:
        return "", []
    contact = typed(required(body, "contact", "$", OBJECT), dict, "$.contact")
    contact_id = ""
    if has_campaign or contact.get("id") is not None:
        contact_id = producer_id(required(contact, "id", "$.contact", PRODUCERS_ID), "$.contact.id")
    who = [
        phone_identifier(phone) for name in PHONES if (phone := optional_meta_id(contact, name, "$.contact"))
    ]
    if user := optional_meta_id(contact, "user_id", "$.contact"):
        who.append(user_identifier(user))
    if has_provider and not who:
        raise BadEvent("missing_field", "$.contact.phone", A_CUSTOMER)
    return contact_id, who


def _error(body: dict[str, Any], outcome: Outcome) -> str | None:
    """Return the raw `source:code` of a failure; what is given with another outcome is only checked."""
    if outcome != "failed" and body.get("error") is None:
        return None
    error = typed(required(body, "error", "$", "an object with source and code"), dict, "$.error")
    source = _one_of(error, "source", ERROR_SOURCES, "$.error")
    code = required(error, "code", "$.error", PRODUCERS_ID)
    raw = f"{source}:{producer_id(code, '$.error.code')}"
    return raw if outcome == "failed" else None


def _reason(body: dict[str, Any], outcome: Outcome) -> None:
    """Check why an attempt was skipped or cancelled; required there, and short."""
    if outcome not in ("skipped", "cancelled") and body.get("reason") is None:
        return
    reason = typed(required(body, "reason", "$", A_REASON), str, "$.reason")
    if len(reason) > MAX_REASON:
        raise BadEvent("too_large", "$.reason", A_REASON)


def _dialled(
    body: dict[str, Any],
    routed: Routed,
    whom: tuple[str, str, str, str],
    outcome: Outcome,
    at_ms: int,
    template: Template,
    who: list[bytes],
) -> str:
    """Take an attempt and the ids by which its channels can be known later; return its PBX.

    A PBX and at least one id are asked of attempts that reached one; others have them or not, and what they
    give is held to the same types.
    """
    needed = outcome in ("accepted", "requested")
    pbx = meta_id(body, "pbx", "$") if needed else optional_meta_id(body, "pbx", "$") or ""
    if pbx:
        checked_text(pbx, "$.pbx", MAX_ID)
    call = required(body, "call", "$", A_CALL) if needed else body.get("call")
    call = {} if call is None else typed(call, dict, "$.call")
    ids = [(name, value) for name in CALL_IDS if (value := optional_meta_id(call, name, "$.call"))]
    leg = call.get("customer_leg")
    if leg is not None and leg not in LEGS:
        raise BadEvent("wrong_type", "$.call.customer_leg", one_of(LEGS))
    if needed and not ids:
        raise BadEvent("missing_field", f"$.call.{CALL_IDS[0]}", A_CALL)
    if pbx and ids and whom[1]:
        second = leg == "second"
        dialled = Dialled(*whom, outcome, at_ms, template, ids, second, *whereabouts(who))
        routed.add(CALL, join_parts(pbx), dialled)
    return pbx
