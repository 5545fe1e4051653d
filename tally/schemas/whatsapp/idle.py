"""Webhooks that count nothing, read just far enough to say so: other fields than messages and identities.

It says what `webhook.read_webhook` says, or nothing at all, but for one thing: a number too large for the
general reader's parser, in a part that nobody reads, is no reason for a dead letter here. It takes a tenth
of the time: what is skipped is checked, and not made into objects.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tally.schemas.routed import Routed
from tally.schemas.scan import may_be_read
from tally.schemas.typed import UNREADABLE
from tally.schemas.whatsapp.webhook import COUNTED, FIELDS


class _Value(Struct, gc=False):
    contacts: Raw | UnsetType = UNSET
    """Whoever is named there counts, whatever the field."""


class _Change(Struct, gc=False):
    field: str
    value: _Value | None = None


class _Entry(Struct, gc=False):
    changes: list[_Change]


class _Body(Struct, gc=False):
    object: Literal["whatsapp_business_account"]
    entry: list[_Entry]


_decode = msgspec.json.Decoder(_Body).decode


def read_idle(value: bytes | None) -> Routed | None:
    """Return what was seen in a POST body that counts nothing, or None where it might."""
    # Bytes beyond ASCII are skipped without a look at whether they are text; Meta escapes them.
    if value is None or not may_be_read(value) or not value.isascii():
        return None
    try:
        body = _decode(value)
    except UNREADABLE:
        return None
    routed = Routed()
    for entry in body.entry:
        for change in entry.changes:
            if change.field in COUNTED or (change.value and change.value.contacts is not UNSET):
                return None
            routed.see("field", change.field, FIELDS)
    return routed
