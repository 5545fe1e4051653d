"""The usual webhook, read with one typed decode: statuses in the shape that nearly all traffic has.

It says what `webhook.read_webhook` says, or nothing at all: whatever is not exactly as declared here, a bad
part, an unknown field, an inbound message, is left to the general reader, which takes four times as long.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct

from tally.schemas.errors import BadEvent
from tally.schemas.facts import CUSTOMER, MESSAGE, Sighting, StatusSeen
from tally.schemas.fields import (
    MAX_META_ID,
    message_identifier,
    phone_identifier,
    unix_seconds,
    user_identifier,
)
from tally.schemas.keys import join_parts
from tally.schemas.routed import Routed
from tally.schemas.topics import RAW_LIMIT_BYTES
from tally.schemas.whatsapp.status import COUNTED, error_of, priced


class _Contact(Struct, forbid_unknown_fields=True, gc=False):
    wa_id: str | None = None
    user_id: str | None = None
    parent_user_id: str | None = None
    profile: Any = None

    @property
    def identifiers(self) -> list[bytes]:
        return _identifiers(self.wa_id, self.user_id, self.parent_user_id)


class _Pricing(Struct, forbid_unknown_fields=True, gc=False):
    category: str | None = None
    type: str | None = None
    billable: Any = None
    pricing_model: Any = None


class _Status(Struct, forbid_unknown_fields=True):
    id: str
    status: str
    timestamp: str | Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    recipient_id: str | None = None
    recipient_user_id: str | None = None
    recipient_parent_user_id: str | None = None
    conversation: Any = None
    pricing: _Pricing | None = None
    errors: Any = None
    biz_opaque_callback_data: Any = None


class _Metadata(Struct, forbid_unknown_fields=True, gc=False):
    phone_number_id: str
    display_phone_number: Any = None


class _Value(Struct, forbid_unknown_fields=True):
    metadata: _Metadata
    statuses: list[_Status]
    contacts: list[_Contact] = []
    messaging_product: Any = None


class _Change(Struct, forbid_unknown_fields=True):
    field: Literal["messages"]
    value: _Value


class _Entry(Struct, forbid_unknown_fields=True):
    changes: list[_Change]
    id: Any = None
    time: Any = None


class _Body(Struct, forbid_unknown_fields=True):
    object: Literal["whatsapp_business_account"]
    entry: list[_Entry]


_decode = msgspec.json.Decoder(_Body).decode


class _Unusual(Exception):
    """Left to the general reader."""


def read_usual(value: bytes | None) -> Routed | None:
    """Split one POST body into facts, or return None where it is not a usual one."""
    if value is None or len(value) > RAW_LIMIT_BYTES or b"\\u0000" in value:
        return None
    routed = Routed()
    try:
        for entry in _decode(value).entry:
            for change in entry.changes:
                routed.seen.append(("field", "messages"))
                _read_value(change.value, routed)
    except (msgspec.MsgspecError, ValueError, RecursionError, BadEvent, _Unusual):
        return None
    return routed


def _read_value(value: _Value, routed: Routed) -> None:
    if not value.statuses and not value.contacts:
        return
    number = _checked(value.metadata.phone_number_id)
    key = join_parts(number)
    for contact in value.contacts:
        if len(linked := contact.identifiers) > 1:
            routed.add(CUSTOMER, key, Sighting(linked))
    for status in value.statuses:
        _read_status(status, number, key, routed)


def _read_status(status: _Status, number: str, key: bytes, routed: Routed) -> None:
    name, wamid = status.status, _checked(status.id)
    if name not in COUNTED:
        raise _Unusual
    at_s = unix_seconds(status.timestamp, "")
    told = status.pricing
    pricing = None if told is None else priced(name, at_s, told.category, told.type)
    error = error_of(status.errors) if name == "failed" else None
    recipient = _identifiers(status.recipient_id, status.recipient_user_id, status.recipient_parent_user_id)
    routed.seen.append(("status", name))
    routed.add(MESSAGE, b"%b/%b" % (key, join_parts(wamid)), StatusSeen(name, at_s, error, pricing))
    if recipient:
        routed.add(CUSTOMER, key, Sighting([message_identifier(number, wamid), *recipient]))


def _identifiers(phone: str | None, user: str | None, parent: str | None) -> list[bytes]:
    found = [phone_identifier(_checked(phone))] if phone else []
    if user:
        found.append(user_identifier(_checked(user)))
    if parent:
        found.append(user_identifier(_checked(parent)))
    return found


def _checked(text: str) -> str:
    if not text or len(text) > MAX_META_ID:
        raise _Unusual
    return text
