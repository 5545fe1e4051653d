"""Checks of single fields that raw events share: ids, times, phones, digests."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Any, TypeGuard, TypeVar

import msgspec
from msgspec import Meta

from tally.schemas.errors import BadEvent
from tally.schemas.scan import may_be_read

T = TypeVar("T")

MAX_ID = 128
MAX_META_ID = 512
MAX_SECONDS = 253_402_300_799
"""9999-12-31T23:59:59Z: later ones are no dates for Postgres clients and for people."""
MAX_MS = MAX_SECONDS * 1000 + 999
MAX_DIGITS = 15
"""Of a time in text."""
EARLIEST_MS = 1_230_768_000_000
"""2009-01-01T00:00:00Z: WhatsApp began in that year; wrong units and clocks without a battery lie before."""
AHEAD_MS = 86_400_000
"""How much later than its record was published an event may say that it happened: a day."""

TEXT, OBJECT, LIST, WHOLE = "text", "an object", "a list", "a whole number"
_WANTED: Mapping[type, str] = {str: TEXT, dict: OBJECT, list: LIST, int: WHOLE}
SECONDS = "unix seconds"
A_TIME = "unix ms or RFC 3339 with a zone"

DIGEST_BYTES = 12
_SPAN = "from 2009 to a day after the record"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RFC_3339 = re.compile(
    # Hours and minutes are held here: releases of Python differ in whether 24:00 and +05:60 are times.
    r"\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_PHONE = re.compile(r"[-0-9+(). ]+")
_NO_DIGIT = re.compile(r"[^0-9]")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def required(part: Mapping[str, Any], name: str, path: str, expected: str) -> Any:
    """Return a field's value; absent and null are the same. Raises BadEvent `missing_field`."""
    value = part.get(name)
    if value is None:
        raise BadEvent("missing_field", f"{path}.{name}", expected)
    return value


def typed(value: Any, kind: type[T], path: str) -> T:
    """Return the value if it is of the type. Raises BadEvent `wrong_type`."""
    if type(value) is not kind:
        raise BadEvent("wrong_type", path, _WANTED[kind])
    return value


def checked_text(value: str, path: str, limit: int) -> str:
    """Return an id that Postgres can store. Raises BadEvent `bad_id`: empty, too long or with U+0000."""
    if not value or len(value) > limit or "\0" in value:
        raise BadEvent("bad_id", path, text_of(limit))
    return value


def one_of(names: Iterable[str]) -> str:
    """Return what is expected where one of these names is."""
    return f"one of {', '.join(names)}"


def text_of(limit: int) -> str:
    """Return what is expected of a text of so many characters at most."""
    return f"text of 1 to {limit} characters, none of them U+0000"


def meta_id(part: Mapping[str, Any], name: str, path: str) -> str:
    """Return one of Meta's ids, always a string."""
    value = part.get(name)
    # The path is only made where it is needed: making it costs more than all the rest.
    if type(value) is str and 0 < len(value) <= MAX_META_ID and "\0" not in value:
        return value
    where = f"{path}.{name}"
    return checked_text(
        typed(required(part, name, path, text_of(MAX_META_ID)), str, where), where, MAX_META_ID
    )


def optional_meta_id(part: Mapping[str, Any], name: str, path: str) -> str | None:
    """Return one of Meta's ids, or None where it is absent, null or empty."""
    value = part.get(name)
    if value is None or value == "":
        return None
    if type(value) is str and len(value) <= MAX_META_ID and "\0" not in value:
        return value
    where = f"{path}.{name}"
    return checked_text(typed(value, str, where), where, MAX_META_ID)


PRODUCERS_ID = f"{text_of(MAX_ID)}, or a whole number"


def producer_id(value: Any, path: str) -> str:
    """Return a producer's id as a string: integers become text, UUIDs lower case."""
    if type(value) is int:
        value = str(value)
    if type(value) is not str:
        raise BadEvent("wrong_type", path, PRODUCERS_ID)
    return canonical_id(checked_text(value, path, MAX_ID))


def canonical_id(text: str) -> str:
    """Return a producer's id in the one way it is written: UUIDs in lower case."""
    return text.lower() if len(text) == 36 and _UUID.fullmatch(text) else text


def latest_ms(published_ms: int | None) -> int:
    """Return the last time that an event may name, by Kafka's time of its record; None is not known."""
    return MAX_MS if published_ms is None or published_ms > MAX_MS - AHEAD_MS else published_ms + AHEAD_MS


def is_plausible(at_ms: int, published_ms: int | None) -> bool:
    """Return whether an event of a record may have happened then: from 2009 on, and not a day ahead of it."""
    return EARLIEST_MS <= at_ms <= latest_ms(published_ms)


def event_seconds(value: Any, path: str, latest: int = MAX_MS) -> int:
    """Return Meta's time of an event: unix seconds, as text or as integer, at most the latest time in ms.

    Raises BadEvent `bad_time`.
    """
    at_s = value
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
        at_s = int(value)
    if type(at_s) is not int or not EARLIEST_MS <= at_s * 1000 <= latest:
        raise BadEvent("bad_time", path, _seconds_wanted(at_s, latest))
    return at_s


def unix_ms(value: Any, path: str) -> int:
    """Return any time: unix milliseconds, or RFC 3339 with zone. Raises BadEvent `bad_time`."""
    at_ms = _from_rfc_3339(value) if type(value) is str else value
    if type(at_ms) is not int or not 0 <= at_ms <= MAX_MS:
        raise BadEvent("bad_time", path, A_TIME)
    return at_ms


def event_ms(value: Any, path: str, latest: int = MAX_MS) -> int:
    """Return a producer's time of an event, in either form, at most the latest time.

    Raises BadEvent `bad_time`.
    """
    at_ms = _from_rfc_3339(value) if type(value) is str else value
    if type(at_ms) is not int or not EARLIEST_MS <= at_ms <= latest:
        raise BadEvent("bad_time", path, _ms_wanted(value, latest))
    return at_ms


def _from_rfc_3339(text: str) -> int | None:
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MILLISECOND
    except ValueError:
        return None


def _seconds_wanted(given: Any, latest: int) -> str:
    if type(given) is int and EARLIEST_MS <= given <= latest:
        return f"{SECONDS}, not ms"
    return f"{SECONDS}, {_SPAN}"


def _ms_wanted(given: Any, latest: int) -> str:
    if type(given) is int and EARLIEST_MS <= given * 1000 <= latest:
        return f"{A_TIME}, not seconds"
    return f"{A_TIME}, {_SPAN}"


def phone_identifier(written: str) -> bytes:
    """Return the identifier of what stands where phones stand.

    What is written like a phone is one, and known by its digits. Any other text, such as a group's id, is a
    name, compared whole.
    """
    if written.isascii() and written.isdigit():
        return b"p" + written.encode()
    if _PHONE.fullmatch(written) and (digits := _NO_DIGIT.sub("", written)):
        return b"p" + digits.encode()
    return b"n" + written.encode()


def user_identifier(user_id: str) -> bytes:
    """Return the identifier of a business-scoped user id."""
    return b"u" + user_id.encode()


def digest(key: bytes) -> bytes:
    """Return a short fixed-size stand-in for a key that is only ever compared (96 bits)."""
    return blake2b(key, digest_size=DIGEST_BYTES).digest()


def message_identifier(key: bytes) -> bytes:
    """Return the identifier of a message among those of its customer, from its key."""
    return b"w" + digest(key)


MAX_INTEGER = (1 << 63) - 1
"""Beyond 64 bits an integer is a float for the full reader's parser, or no JSON at all."""

MetaId = Annotated[str, Meta(min_length=1, max_length=MAX_META_ID)]
MaybeMetaId = Annotated[str, Meta(max_length=MAX_META_ID)] | None
"""Absent, null and empty ones say nothing."""

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, BadEvent)
"""What a typed reader meets in an event that it leaves to the general one."""


def may_be_fast(value: bytes | None) -> TypeGuard[bytes]:
    """Return whether a typed decode may say what the full reader says of a record's value."""
    # A U+0000 makes an id a bad one, and the declared types let it pass.
    return value is not None and may_be_read(value) and b"\\u0000" not in value
