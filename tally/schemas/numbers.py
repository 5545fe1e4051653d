"""Whose a business number is, and which ids are of one: what the topic `numbers` says of phone_number_ids."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_ID, MAX_META_ID, checked_text, producer_id


class Number(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One business number, as its record's value says."""

    tenant: str
    successor_of: str | None = None
    """The id that the number had before: it counts as that one."""
    name: str | None = None
    """What people call it."""


class Numbers(Struct, frozen=True):
    """What route reads of all numbers."""

    owners: Mapping[str, str] = {}
    """The tenant of each phone_number_id; every tenant may send from a number that is not named."""
    first_ids: Mapping[str, str] = {}
    """The id that a number had first, by each of its later ids."""

    def first_id(self, number_id: str) -> str:
        """Return the id by which a number is known in keys: the one that it had first."""
        return self.first_ids.get(number_id, number_id) if self.first_ids else number_id

    def is_foreign(self, number_id: str, tenant: str) -> bool:
        """Return whether a number, by the id that is written, is another tenant's."""
        return self.owners.get(number_id, tenant) != tenant


NO_NUMBERS = Numbers()


def numbers_of(known: Mapping[str, Number]) -> Numbers:
    """Return what route reads of all numbers, by what the topic says of each."""
    first = {number_id: first_of(number_id, known) for number_id in known}
    return Numbers(
        {number_id: number.tenant for number_id, number in known.items()},
        {number_id: found for number_id, found in first.items() if found not in (None, number_id)},
    )


def first_of(number_id: str, known: Mapping[str, Number]) -> str | None:
    """Return the id that a number had first; None where its ids come back to themselves."""
    passed: set[str] = set()
    while (number := known.get(number_id)) is not None and number.successor_of is not None:
        if number_id in passed:
            return None
        passed.add(number_id)
        number_id = number.successor_of
    return number_id


def check_first(number_id: str, known: Mapping[str, Number]) -> None:
    """Check that a number had a first id. Raises BadEvent `bad_id`."""
    if first_of(number_id, known) is None:
        raise BadEvent("bad_id", "$.successor_of", "an id that does not itself follow this one")


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
