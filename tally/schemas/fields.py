"""Checks of single fields that raw events share: ids, times, phones, digests."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, TypeVar

from tally.schemas.errors import BadEvent

T = TypeVar("T")

MAX_ID = 128
MAX_META_ID = 512
MAX_SECONDS = 253_402_300_799
"""9999-12-31T23:59:59Z: later ones are no dates for Postgres clients and for people."""
EARLIEST_MS = 1_230_768_000_000
"""2009-01-01T00:00:00Z: WhatsApp began in that year; wrong units and clocks without a battery lie before."""
AHEAD_MS = 86_400_000
"""How much later than its record was published an event may say that it happened: a day."""

DIGEST_BYTES = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def required(part: Mapping[str, Any], name: str, path: str) -> Any:
    """Return a field's value; absent and null are the same. Raises BadEvent `missing_field`."""
    value = part.get(name)
    if value is None:
        raise BadEvent("missing_field", f"{path}.{name}")
    return value


def typed(value: Any, kind: type[T], path: str) -> T:
    """Return the value if it is of the type. Raises BadEvent `wrong_type`."""
    if type(value) is not kind:
        raise BadEvent("wrong_type", path)
    return value


def checked_text(value: str, path: str, limit: int) -> str:
    """Return an id that Postgres can store. Raises BadEvent `bad_id`: empty, too long or with U+0000."""
    if not value or len(value) > limit or "\0" in value:
        raise BadEvent("bad_id", path)
    return value


def meta_id(part: Mapping[str, Any], name: str, path: str) -> str:
    """Return one of Meta's ids, always a string."""
    where = f"{path}.{name}"
    return checked_text(typed(required(part, name, path), str, where), where, MAX_META_ID)


def optional_meta_id(part: Mapping[str, Any], name: str, path: str) -> str | None:
    """Return one of Meta's ids, or None where it is absent, null or empty."""
    value = part.get(name)
    if value is None or value == "":
        return None
    where = f"{path}.{name}"
    return checked_text(typed(value, str, where), where, MAX_META_ID)


def producer_id(value: Any, path: str) -> str:
    """Return a producer's id as a string: integers become text, UUIDs lower case."""
    if type(value) is int:
        value = str(value)
    return canonical_id(checked_text(typed(value, str, path), path, MAX_ID))


def canonical_id(text: str) -> str:
    """Return a producer's id in the one way it is written: UUIDs in lower case."""
    return text.lower() if len(text) == 36 and _UUID.fullmatch(text) else text


def unix_seconds(value: Any, path: str) -> int:
    """Return Meta's timestamp: unix seconds, as text or as integer. Raises BadEvent `bad_time`."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 12:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_SECONDS:
        raise BadEvent("bad_time", path)
    return value


def unix_ms(value: Any, path: str) -> int:
    """Return a producer's time: unix milliseconds, or RFC 3339 with zone. Raises BadEvent `bad_time`."""
    if type(value) is str and _RFC_3339.fullmatch(value):
        try:
            value = (datetime.fromisoformat(value.upper()) - _EPOCH) // _MILLISECOND
        except ValueError:
            raise BadEvent("bad_time", path) from None
    if type(value) is not int or not 0 <= value <= MAX_SECONDS * 1000 + 999:
        raise BadEvent("bad_time", path)
    return value


def latest_ms(published_ms: int | None) -> int:
    """Return the last time that an event may name, by Kafka's time of its record; None is not known."""
    most_ms = MAX_SECONDS * 1000 + 999
    return most_ms if published_ms is None else min(published_ms + AHEAD_MS, most_ms)


def is_plausible(at_ms: int, published_ms: int | None) -> bool:
    """Return whether an event of a record may have happened then: from 2009 on, and not a day ahead of it."""
    return EARLIEST_MS <= at_ms <= latest_ms(published_ms)


def phone_identifier(phone: str) -> bytes:
    """Return the identifier of a phone: its digits, whatever else it is written with."""
    digits = phone if phone.isascii() and phone.isdigit() else re.sub(r"[^0-9]", "", phone)
    return b"p" + (digits or phone).encode()


def user_identifier(user_id: str) -> bytes:
    """Return the identifier of a business-scoped user id."""
    return b"u" + user_id.encode()


def digest(*parts: str) -> bytes:
    """Return a short fixed-size stand-in for an id that is only ever compared (96 bits)."""
    return blake2b("\0".join(parts).encode(), digest_size=DIGEST_BYTES).digest()


def message_identifier(number: str, wamid: str) -> bytes:
    """Return the identifier of a message among those of its customer."""
    return b"w" + digest(number, wamid)
