"""The usual send result, read with one typed decode: accepted by WhatsApp, for a campaign.

It says what `sends.read_send` says, or nothing at all: whatever is not exactly as declared here is left to
the general reader, which takes three times as long.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_META_ID, phone_identifier, producer_id, unix_ms, user_identifier
from tally.schemas.keys import Template
from tally.schemas.routed import Routed
from tally.schemas.sends import Sent, add_facts
from tally.schemas.topics import RAW_LIMIT_BYTES

# Beyond 64 bits an integer is a float for the general reader.
_Id = str | Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class _Contact(Struct, forbid_unknown_fields=True, gc=False):
    id: _Id
    phone: str | None = None
    wa_id: str | None = None
    user_id: str | None = None


class _Template(Struct, forbid_unknown_fields=True, gc=False):
    name: str
    language: str
    id: _Id | None = None


class _Body(Struct, forbid_unknown_fields=True, gc=False):
    tenant: _Id
    channel: Literal["whatsapp"]
    campaign: _Id
    contact: _Contact
    outcome: Literal["accepted"]
    template: _Template
    phone_number_id: str
    message_id: str
    time: _Id
    attempt: Literal["1", 1] | None = None
    v: Literal[1] | None = None


_decode = msgspec.json.Decoder(_Body).decode


class _Unusual(Exception):
    """Left to the general reader."""


def read_usual_send(value: bytes | None) -> Routed | None:
    """Turn one send result into facts, or return None where it is not a usual one."""
    if value is None or len(value) > RAW_LIMIT_BYTES or b"\\u0000" in value:
        return None
    routed = Routed()
    try:
        add_facts(_checked(_decode(value)), routed)
    except (msgspec.MsgspecError, ValueError, RecursionError, BadEvent, _Unusual):
        return None
    routed.seen.append(("outcome", "accepted"))
    return routed


def _checked(body: _Body) -> Sent:
    template = body.template
    for text in (template.name, template.language, body.phone_number_id, body.message_id):
        _meta_id(text)
    return Sent(
        producer_id(body.tenant, ""),
        producer_id(body.campaign, ""),
        producer_id(body.contact.id, ""),
        "1",
        body.channel,
        body.outcome,
        unix_ms(body.time, ""),
        Template(template.name, template.language.replace("-", "_")),
        "" if template.id is None else producer_id(template.id, ""),
        None,
        body.phone_number_id,
        body.message_id,
        _who(body.contact),
    )


def _who(contact: _Contact) -> list[bytes]:
    who = [phone_identifier(_meta_id(phone)) for phone in (contact.phone, contact.wa_id) if phone]
    if contact.user_id:
        who.append(user_identifier(_meta_id(contact.user_id)))
    if not who:
        raise _Unusual
    return who


def _meta_id(text: str) -> str:
    if not text or len(text) > MAX_META_ID:
        raise _Unusual
    return text
