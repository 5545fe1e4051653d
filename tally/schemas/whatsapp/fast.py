"""The fast path of webhooks: one typed decode of the shapes that nearly all traffic has.

It says what `full.read_webhook` says. It leaves all that is not exactly as declared here (a bad part, an
unknown field, an inbound message) to that full reader, which takes four times as long. A webhook
that counts nothing is read just far enough to say so, in a tenth of the time; there a number too large for
the full reader's parser, in a part that is not read, makes no dead letter.
"""

from functools import lru_cache
from typing import Annotated, Literal

import msgspec
import orjson
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from tally.schemas.errors import BadEvent
from tally.schemas.facts import MESSAGE, StatusSeen
from tally.schemas.fields import (
    MAX_ID,
    MAX_INTEGER,
    MAX_SECONDS,
    SECONDS,
    UNREADABLE,
    MaybeMetaId,
    MetaId,
    event_seconds,
    latest_ms,
    may_be_fast,
    phone_identifier,
    user_identifier,
)
from tally.schemas.keys import join_parts
from tally.schemas.numbers import NO_NUMBERS, Numbers
from tally.schemas.records import KeyedCustomerSeen, KeyedFact, Routed
from tally.schemas.scan import may_be_read
from tally.schemas.wamids import message_id
from tally.schemas.whatsapp.full import COUNTED, FIELDS
from tally.schemas.whatsapp.status import error_of, priced


class _Profile(Struct, forbid_unknown_fields=True, gc=False):
    name: str | None = None
    username: str | None = None


class _Contact(Struct, forbid_unknown_fields=True, gc=False):
    wa_id: MaybeMetaId = None
    user_id: MaybeMetaId = None
    parent_user_id: MaybeMetaId = None
    profile: _Profile | None = None


_Priced = Annotated[str, Meta(max_length=MAX_ID)] | None
"""What is remembered of prices must be short: longer texts are cut off by the full reader."""


class _Pricing(Struct, forbid_unknown_fields=True, gc=False):
    category: _Priced = None
    type: _Priced = None
    billable: bool | None = None
    pricing_model: str | None = None


class _Origin(Struct, forbid_unknown_fields=True, gc=False):
    type: str | None = None


class _Conversation(Struct, forbid_unknown_fields=True, gc=False):
    id: str | None = None
    expiration_timestamp: str | None = None
    origin: _Origin | None = None


class _Status(Struct, forbid_unknown_fields=True, gc=False):
    id: MetaId
    status: Literal["sent", "delivered", "read", "played", "failed"]
    timestamp: str | Annotated[int, Meta(ge=0, le=MAX_SECONDS)]
    type: Literal["message"] | None = None
    recipient_id: MaybeMetaId = None
    recipient_user_id: MaybeMetaId = None
    recipient_parent_user_id: MaybeMetaId = None
    conversation: _Conversation | None = None
    pricing: _Pricing | None = None
    errors: Raw = Raw(b"null")
    """Read by the full reader's parser: the two differ in what a large number is."""
    biz_opaque_callback_data: str | None = None


class _Metadata(Struct, forbid_unknown_fields=True, gc=False):
    phone_number_id: MetaId
    display_phone_number: str | None = None


class _Value(Struct, forbid_unknown_fields=True, gc=False):
    metadata: _Metadata
    statuses: list[_Status]
    contacts: list[_Contact] = []
    messaging_product: str | None = None


class _Change(Struct, forbid_unknown_fields=True, gc=False):
    field: Literal["messages"]
    value: _Value


class _Entry(Struct, forbid_unknown_fields=True, gc=False):
    changes: list[_Change]
    id: str | None = None
    time: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] | None = None


class _Body(Struct, forbid_unknown_fields=True, gc=False):
    object: Literal["whatsapp_business_account"]
    entry: list[_Entry]


_decode = msgspec.json.Decoder(_Body).decode
_FIELD = ("field", "messages")


def read_statuses(
    value: bytes | None, published_ms: int | None = None, numbers: Numbers = NO_NUMBERS
) -> Routed | None:
    """Split one POST body into facts, or return None where the full reader has to."""
    if not may_be_fast(value):
        return None
    routed = Routed()
    latest_s = latest_ms(published_ms) // 1000
    try:
        for entry in _decode(value).entry:
            for change in entry.changes:
                routed.seen.append(_FIELD)
                _read_value(change.value, latest_s, numbers, routed)
    except UNREADABLE:
        return None
    return routed


def _read_value(value: _Value, latest_s: int, numbers: Numbers, routed: Routed) -> None:
    key = _key(numbers.first_id(value.metadata.phone_number_id))
    for contact in value.contacts:
        if contact.user_id or contact.parent_user_id:
            linked = _identifiers(contact.wa_id, contact.user_id, contact.parent_user_id)
            if len(linked) > 1:
                routed.facts.append(KeyedCustomerSeen(key, b"", linked))
    for status in value.statuses:
        _read_status(status, key, latest_s, routed)


def _read_status(status: _Status, key: bytes, latest_s: int, routed: Routed) -> None:
    name, at_s, priced_as = status.status, _seconds(status.timestamp), status.pricing
    if at_s > latest_s:
        raise BadEvent("bad_time", ".timestamp", SECONDS)
    pricing = None
    if priced_as is not None:
        pricing = priced(name, at_s, priced_as.category or "", priced_as.type or "")
    errors = orjson.loads(memoryview(status.errors))
    error = error_of(errors) if name == "failed" else None
    named = message_id(status.id)
    message = b"%b/%b" % (key, named.part)
    routed.seen.append(("status", name))
    routed.see_wamid(named)
    routed.facts.append(KeyedFact(MESSAGE, message, StatusSeen(name, at_s, error, pricing, named.spelling)))
    recipient = _identifiers(status.recipient_id, status.recipient_user_id, status.recipient_parent_user_id)
    if recipient:
        routed.facts.append(KeyedCustomerSeen(key, message, recipient))


def _identifiers(phone: str | None, user: str | None, parent: str | None) -> list[bytes]:
    found = [phone_identifier(phone)] if phone else []
    if user:
        found.append(user_identifier(user))
    if parent:
        found.append(user_identifier(parent))
    return found


# What comes again and again: seconds of the same moment, and few business numbers.


@lru_cache(maxsize=1024)
def _seconds(timestamp: str | int) -> int:
    return event_seconds(timestamp, "")


@lru_cache(maxsize=1024)
def _key(number: str) -> bytes:
    return join_parts(number)


class _IdleValue(Struct, gc=False):
    contacts: Raw | UnsetType = UNSET
    """Identifiers there count in every field."""


class _IdleChange(Struct, gc=False):
    field: str
    value: _IdleValue | None = None


class _IdleEntry(Struct, gc=False):
    changes: list[_IdleChange]


class _IdleBody(Struct, gc=False):
    object: Literal["whatsapp_business_account"]
    entry: list[_IdleEntry]


_decode_idle = msgspec.json.Decoder(_IdleBody).decode


def read_uncounted(value: bytes | None) -> Routed | None:
    """Return what was seen in a POST body that counts nothing, or None where it might."""
    # Bytes beyond ASCII are skipped without a look at whether they are text; Meta escapes them.
    if value is None or not may_be_read(value) or not value.isascii():
        return None
    try:
        body = _decode_idle(value)
    except UNREADABLE:
        return None
    routed = Routed()
    for entry in body.entry:
        for change in entry.changes:
            if change.field in COUNTED or (change.value and change.value.contacts is not UNSET):
                return None
            routed.see("field", change.field, FIELDS)
    return routed


def read_webhook_fast(
    value: bytes | None, published_ms: int | None = None, numbers: Numbers = NO_NUMBERS
) -> Routed | None:
    """Read one POST body that has the shape of nearly all traffic; return None for the full reader's."""
    if value is not None and b'"statuses"' in value:
        return read_statuses(value, published_ms, numbers)
    return read_uncounted(value)
