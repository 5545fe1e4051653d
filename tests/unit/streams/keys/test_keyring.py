"""Laws of what a process knows of the topic `api-keys`: what it cannot read opens nothing."""

from typing import Any, NamedTuple

import orjson
import pytest
from msgspec import structs

from tally.streams.keys.access import NO_KEY, Granted, Needed, decide
from tally.streams.keys.key import Key, Presented, digest_of, encode, revoked
from tally.streams.keys.keyring import Keyring

NOW_MS = 1_796_000_000_000
MADE, OTHER = Presented("0123456789ab", "m" * 43), Presented("0123456789ac", "o" * 43)
KEY, OTHERS = (Key(digest_of(one.secret), ("read",), ("t1",), 0) for one in (MADE, OTHER))
REVOKED = structs.replace(KEY, revoked_at_ms=NOW_MS - 1)


class Record(NamedTuple):
    """A record of the topic."""

    key: bytes | None
    value: bytes | None
    offset: int = 0


def of(made: Presented, value: bytes | None) -> Record:
    return Record(made.key_id.encode(), value)


def with_more(key: Key, **more: Any) -> bytes:
    """What a newer version writes, which knows other fields."""
    return orjson.dumps(orjson.loads(encode(key)) | more)


def opens(keyring: Keyring, made: Presented) -> bool:
    decided = decide([f"Bearer {made.text}"], Needed("read"), "t1", keyring.keys, NOW_MS)
    assert isinstance(decided, Granted) or decided == NO_KEY
    return isinstance(decided, Granted)


@pytest.fixture
def keyring() -> Keyring:
    """Keys of which both open."""
    made = Keyring()
    made.apply(of(MADE, encode(KEY)))
    made.apply(of(OTHER, encode(OTHERS)))
    assert opens(made, MADE)
    return made


@pytest.mark.parametrize(
    "value",
    [
        encode(REVOKED),
        with_more(REVOKED, revoked_by="anna"),
        with_more(KEY, networks=["10.0.0.0/8"]),
        with_more(KEY, scopes=["read", "export"]),
        with_more(KEY, revoked_at_ms="2026-11-30T22:00:00Z"),
        encode(revoked(NOW_MS)),
        b"{",
        b"[]",
        b"\xff",
        b"",
        None,
    ],
)
def test_no_revocation_is_skipped_and_no_restriction_ignored_that_a_newer_version_has_written(
    keyring: Keyring, value: bytes | None
) -> None:
    keyring.apply(of(MADE, value))

    assert not opens(keyring, MADE)
    assert opens(keyring, OTHER), "nobody else is locked out"


def test_a_key_that_was_never_readable_opens_nothing(keyring: Keyring) -> None:
    first = Keyring()
    first.apply(of(MADE, with_more(KEY, networks=["10.0.0.0/8"])))

    assert not opens(first, MADE)
    assert first.closed == {MADE.key_id: "Object contains unknown field `networks`"}


def test_a_later_record_that_can_be_read_holds(keyring: Keyring) -> None:
    keyring.apply(of(MADE, with_more(KEY, networks=[])))
    keyring.apply(of(MADE, encode(KEY)))

    assert opens(keyring, MADE)
    assert keyring.closed == {}


@pytest.mark.parametrize("key", [None, b"", b"x", b"0" * 13, MADE.key_id.upper().encode() + b"\n"])
def test_a_record_that_names_no_key_changes_nothing(keyring: Keyring, key: bytes | None) -> None:
    keyring.apply(Record(key, b"{"))

    assert opens(keyring, MADE)
    assert opens(keyring, OTHER)
    assert keyring.closed == {}
