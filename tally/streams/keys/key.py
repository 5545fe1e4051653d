"""Keys of the HTTP interfaces: how they are written, kept and recognised. Pure.

A key is `tally_<id>_<secret>`. The secret is 32 random bytes, so one SHA-256 of it is enough to keep: a slow
hash protects secrets that people make up, and would let anybody who sends wrong keys use up a processor.
"""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal, get_args

from msgspec import Struct, ValidationError, json

Scope = Literal["read", "recipients", "ingest", "admin"]
"""What a key may do: read numbers; see which people they are made of; publish; change what others see."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
ALL_TENANTS = "*"
"""In place of a list of tenants."""

SECRET_BYTES = 32
ID_BYTES = 6
WRITTEN = re.compile(r"tally_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
LONGEST = 128
"""Characters that are looked at; a key has 62."""


class Key(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is kept of a key: all but its secret.

    A field that is not known may restrict the key, so a record that has one is no key to this version.
    """

    digest: str
    """SHA-256 of the secret, in hexadecimal digits."""
    scopes: tuple[Scope, ...]
    tenants: tuple[str, ...]
    """Whose numbers it opens; `*` is everybody's."""
    created_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    comment: str = ""

    def state(self, now_ms: int) -> Literal["active", "expired", "revoked"]:
        """Return whether the key opens anything now."""
        if self.revoked_at_ms is not None:
            return "revoked"
        return "expired" if self.expires_at_ms is not None and now_ms >= self.expires_at_ms else "active"

    def opens(self, tenant: str) -> bool:
        """Return whether the key is for a tenant."""
        return tenant in self.tenants or ALL_TENANTS in self.tenants


class Presented(Struct, frozen=True):
    """A key as a client shows it."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"Presented({self.key_id})"

    @property
    def text(self) -> str:
        """The key as it is written."""
        return f"tally_{self.key_id}_{self.secret}"


class BadKey(Exception):
    """A record of the topic is no key; `key_id` is whose it is, None where the record's key is no id."""

    def __init__(self, key_id: str | None, message: str) -> None:
        super().__init__(message)
        self.key_id = key_id


def read_presented(text: str) -> Presented | None:
    """Return the parts of a written key; None if it is none."""
    found = WRITTEN.fullmatch(text) if len(text) <= LONGEST else None
    return None if found is None else Presented(found[1], found[2])


def digest_of(secret: str) -> str:
    """Return what is kept of a secret."""
    return sha256(secret.encode()).hexdigest()


NOBODYS = digest_of("")
"""Compared with where there is no such key, so that the time does not tell."""


def recognised(presented: Presented, keys: Mapping[str, Key], now_ms: int) -> Key | None:
    """Return the key that a client shows, if it is one of these and opens anything now."""
    key = keys.get(presented.key_id)
    is_same = hmac.compare_digest(digest_of(presented.secret), NOBODYS if key is None else key.digest)
    return key if key is not None and is_same and key.state(now_ms) == "active" else None


def revoked(at_ms: int) -> Key:
    """Return what takes the place of a key of which nothing can be read: it opens nothing, for ever."""
    return Key("", (), (), at_ms, revoked_at_ms=at_ms)


def encode(key: Key) -> bytes:
    """Return the value of a key's record."""
    return json.encode(key)


def decode(record_key: bytes | None, value: bytes | None) -> tuple[str, Key | None]:
    """Return a record's id and key; None for a removed one. Raises BadKey; its text shows nothing of it."""
    if record_key is None or not re.fullmatch(rb"[0-9a-f]{12}", record_key):
        raise BadKey(None, "the record's key is no id of a key")
    key_id = record_key.decode()
    if value is None:
        return key_id, None
    try:
        return key_id, json.decode(value, type=Key)
    except ValidationError as error:
        raise BadKey(key_id, str(error)) from None
    except ValueError:
        raise BadKey(key_id, "the record's value is no JSON") from None
