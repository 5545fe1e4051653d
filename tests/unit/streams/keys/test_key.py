"""Laws of keys: what is written is read, only the secret opens, and nothing kept or shown holds it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.streams.keys import key as keys
from tally.streams.keys.access import NO_KEY, NOT_THEIRS, Granted, Needed, Refused, decide
from tally.streams.keys.key import BadKey, Key, decode, digest_of, encode, read_presented, recognised
from tally.streams.keys.managing import new_key

NOW_MS = 1_796_000_000_000
MADE = new_key()
KEY = Key(digest_of(MADE.secret), ("read",), ("t1", "t2"), NOW_MS - 1_000)
RING = {MADE.key_id: KEY}


def bearer(text: str = MADE.text) -> list[str]:
    return [f"Bearer {text}"]


def test_a_new_key_is_read_as_it_is_written_and_no_two_are_alike() -> None:
    made = [new_key() for _ in range(1_000)]

    assert all(read_presented(one.text) == one for one in made)
    assert len({one.secret for one in made}) == len({one.key_id for one in made}) == 1_000
    assert all(re.fullmatch(r"tally_[0-9a-f]{12}_[\w-]{43}", one.text) for one in made)


@given(st.text(max_size=200))
def test_nothing_else_is_a_key(text: str) -> None:
    found = read_presented(text)
    assert found is None or found.text == text


def test_a_part_of_a_key_is_none() -> None:
    # In one test: every process of a test run makes a key of its own, and would name its tests by it.
    for text in ("", "tally_", MADE.text[:-1], MADE.text + "x", MADE.text + "\n", "x" * 10_000):
        assert read_presented(text) is None


def test_only_the_secret_of_that_key_opens() -> None:
    other = new_key()
    ring = RING | {other.key_id: Key(digest_of(other.secret), ("read",), ("t1",), 0)}

    assert recognised(MADE, ring, NOW_MS) is KEY
    assert recognised(keys.Presented(MADE.key_id, other.secret), ring, NOW_MS) is None
    assert recognised(new_key(), ring, NOW_MS) is None
    assert recognised(keys.Presented("0" * 12, ""), ring, NOW_MS) is None


@pytest.mark.parametrize(
    ("expires_at_ms", "revoked_at_ms", "state"),
    [
        (None, None, "active"),
        (NOW_MS + 1, None, "active"),
        (NOW_MS, None, "expired"),
        (None, NOW_MS - 1, "revoked"),
        (NOW_MS - 1, NOW_MS - 2, "revoked"),
    ],
)
def test_a_key_opens_until_it_expires_or_is_revoked(
    expires_at_ms: int | None, revoked_at_ms: int | None, state: str
) -> None:
    key = Key(KEY.digest, KEY.scopes, KEY.tenants, 0, expires_at_ms, revoked_at_ms)
    assert key.state(NOW_MS) == state
    assert (recognised(MADE, {MADE.key_id: key}, NOW_MS) is key) == (state == "active")


@pytest.mark.parametrize(
    ("authorization", "needed", "tenant", "expected"),
    [
        (bearer(), Needed("read"), "t1", Granted(MADE.key_id, KEY)),
        ([f"bEARER  {MADE.text} "], Needed("read"), "t2", Granted(MADE.key_id, KEY)),
        (bearer(), Needed("read", is_tenants=False), None, Granted(MADE.key_id, KEY)),
        ([], Needed("read"), "t1", NO_KEY),
        ([MADE.text], Needed("read"), "t1", NO_KEY),
        ([f"Basic {MADE.text}"], Needed("read"), "t1", NO_KEY),
        (bearer() * 2, Needed("read"), "t1", NO_KEY),
        (bearer(new_key().text), Needed("read"), "t1", NO_KEY),
        (bearer("é"), Needed("read"), "t1", NO_KEY),
        (bearer(), Needed("read"), "t3", NOT_THEIRS),
        (bearer(), Needed("ingest"), "t3", NOT_THEIRS),
        (bearer(), Needed("read"), None, NOT_THEIRS),
        (bearer(), Needed("read"), "*", NOT_THEIRS),
    ],
)
def test_a_request_is_let_in_by_key_tenant_and_scope(
    authorization: list[str], needed: Needed, tenant: str | None, expected: Granted | Refused
) -> None:
    assert decide(authorization, needed, tenant, RING, NOW_MS) == expected


def test_a_missing_scope_is_named() -> None:
    refused = decide(bearer(), Needed("ingest"), "t1", RING, NOW_MS)
    assert refused == Refused(403, "missing_scope", "this key lacks the scope ingest")


def test_a_key_for_all_tenants_opens_each() -> None:
    everybodys = {MADE.key_id: Key(KEY.digest, ("read",), ("*",), 0)}
    assert isinstance(decide(bearer(), Needed("read"), "anybody", everybodys, NOW_MS), Granted)


def test_what_is_kept_is_read_again_and_holds_no_secret() -> None:
    value = encode(KEY)

    assert decode(MADE.key_id.encode(), value) == (MADE.key_id, KEY)
    assert decode(MADE.key_id.encode(), None) == (MADE.key_id, None)
    assert MADE.secret.encode() not in value
    assert MADE.secret not in repr(MADE) + repr(KEY)


@pytest.mark.parametrize(
    ("key_id", "value"),
    [(None, encode(KEY)), (b"x", encode(KEY)), (b"0" * 12, b"{"), (b"0" * 12, b"{}"), (b"0" * 12, b"\xff")],
)
def test_a_record_that_is_no_key_is_refused(key_id: bytes | None, value: bytes) -> None:
    with pytest.raises(BadKey) as refused:
        decode(key_id, value)
    assert refused.value.key_id == ("0" * 12 if key_id == b"0" * 12 else None)
