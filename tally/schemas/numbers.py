"""Whose a business number is, and which ids are of one: what the topic `numbers` says of phone_number_ids."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct, structs

from tally.schemas.buckets import zone_names
from tally.schemas.errors import Bad, BadEvent
from tally.schemas.fields import MAX_ID, MAX_META_ID, checked_text, producer_id

MOST_PER_SECOND = 1_000_000


class Number(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One business number, as its record's value says."""

    tenant: str
    successor_of: str | None = None
    """The id that the number had before: it counts as that one."""
    name: str | None = None
    """What people call it."""
    per_second: int | None = None
    """How many messages a second the provider lets it send; nothing is counted by it."""
    timezone: str | None = None
    """The zone of its account, by its IANA name: whose days decide on rates."""

    def over(self, former: "Number | None") -> "Number":
        """Return what is said of a number by this id, and where that is silent by a former one."""
        if former is None:
            return self
        return structs.replace(
            self,
            name=self.name or former.name,
            per_second=self.per_second or former.per_second,
            timezone=self.timezone or former.timezone,
        )


UNREADABLE = Number("")
"""What is known of an id whose newest record cannot be read: it is nobody's, since no tenant is empty.

What its record said before does not hold: compaction removes that, so that a process which starts later would
read the same events in another way. Nor is it anybody's: the record may have been the first to name an owner.
"""


class Numbers(Struct, frozen=True):
    """What route reads of all numbers."""

    owners: Mapping[str, str] = {}
    """The tenant of each phone_number_id; every tenant may send from a number that is not named."""
    first_ids: Mapping[str, str] = {}
    """The id that a number had first, by each of its later ids."""
    known: Mapping[str, Number] = {}
    """What is said of each id."""

    def of_tenant(self, tenant: str) -> dict[str, Number]:
        """Return a tenant's numbers by the ids that they had first.

        Of a number with several ids each field is that of the latest id which has it.
        """
        found: dict[str, Number] = {}
        for number_id, number in sorted(self.known.items(), key=lambda one: self._place(one[0])):
            if number.tenant == tenant:
                first = self.first_id(number_id)
                found[first] = number.over(found.get(first))
        return found

    def _place(self, number_id: str) -> tuple[int, str]:
        """Return how many ids of a number come before one; the ids break ties."""
        before, at = 0, number_id
        while before < len(self.known) and (number := self.known.get(at)) is not None and number.successor_of:
            before, at = before + 1, number.successor_of
        return before, number_id

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
        dict(known),
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


WANTED = "what `tally numbers set` writes, of this version or an older one"
_decoder = msgspec.json.Decoder(Number)
encode = msgspec.json.Encoder().encode


class BadNumber(ValueError):
    """A record of `numbers` that says nothing of a number: of which, None where its key is none, and why."""

    def __init__(self, number_id: str | None, bad: Bad) -> None:
        super().__init__(str(bad))
        self.number_id = number_id
        self.bad = bad


def checked_number(number_id: str, number: Number) -> Number:
    """Return a number as it may be kept, its tenant as send results are read.

    Raises BadEvent `bad_id` or `wrong_type`.
    """
    checked_text(number_id, "$.phone_number_id", MAX_META_ID)
    if number.successor_of is not None:
        checked_text(number.successor_of, "$.successor_of", MAX_META_ID)
    if number.name is not None:
        checked_text(number.name, "$.name", MAX_ID)
    if number.per_second is not None and not 1 <= number.per_second <= MOST_PER_SECOND:
        raise BadEvent("wrong_type", "$.per_second", f"a whole number from 1 to {MOST_PER_SECOND}")
    if number.timezone is not None and number.timezone not in zone_names():
        raise BadEvent("wrong_type", "$.timezone", "an IANA name such as Europe/Amsterdam")
    return structs.replace(number, tenant=producer_id(number.tenant, "$.tenant"))


def read_number(key: bytes | None, value: bytes | None) -> tuple[str, Number | None]:
    """Return a record's phone_number_id and what it says; None for one that was removed. Raises BadNumber."""
    try:
        number_id = checked_text((key or b"").decode(), "the record's key", MAX_META_ID)
    except (UnicodeDecodeError, BadEvent):
        raise BadNumber(None, Bad("wrong_key", "the record's key", "a phone_number_id")) from None
    try:
        return number_id, None if value is None else checked_number(number_id, _decoder.decode(value))
    except BadEvent as error:
        raise BadNumber(number_id, error.bad) from None
    except msgspec.ValidationError:
        raise BadNumber(number_id, Bad("wrong_type", "$", WANTED)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadNumber(number_id, Bad("not_json", "$", WANTED)) from None
