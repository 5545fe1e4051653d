"""Whose a business number is: what the topic `numbers` says of each phone_number_id."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_ID, MAX_META_ID, checked_text, producer_id

Owners = Mapping[str, str]
"""The tenant of each phone_number_id; every tenant may send from a number that is not named."""

NOBODYS: Owners = {}


class Number(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One business number, as its record's value says."""

    tenant: str
    successor_of: str | None = None
    """The id that the number had before; kept, and not used yet."""
    name: str | None = None
    """What people call it."""


_decoder = msgspec.json.Decoder(Number)
encode = msgspec.json.Encoder().encode


class BadNumber(ValueError):
    """A record of `numbers` that says nothing of a number; the message says why."""


def checked_number(number_id: str, number: Number) -> Number:
    """Return a number as it may be kept, its tenant as send results are read. Raises BadEvent `bad_id`."""
    checked_text(number_id, "$.phone_number_id", MAX_META_ID)
    if number.successor_of is not None:
        checked_text(number.successor_of, "$.successor_of", MAX_META_ID)
    if number.name is not None:
        checked_text(number.name, "$.name", MAX_ID)
    return Number(producer_id(number.tenant, "$.tenant"), number.successor_of, number.name)


def read_number(key: bytes | None, value: bytes | None) -> tuple[str, Number | None]:
    """Return a record's phone_number_id and what it says; None for one that was removed. Raises BadNumber."""
    try:
        number_id = (key or b"").decode()
        if not number_id:
            raise BadNumber("a record without a key")
        return number_id, None if value is None else checked_number(number_id, _decoder.decode(value))
    except (UnicodeDecodeError, msgspec.MsgspecError, BadEvent) as error:
        raise BadNumber(str(error)) from None
