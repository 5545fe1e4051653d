"""Laws of log-ins: a token holds until its time, its key or its secret ends, and nobody else writes one."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tally.streams.keys.access import NO_KEY, Granted, Needed, decide
from tally.streams.keys.key import Key, digest_of
from tally.streams.keys.managing import new_key
from tally.streams.keys.sessions import LONGEST, SECONDS, Session, Sessions

NOW_MS = 1_795_350_900_123
MADE = new_key()
KEY = Key(digest_of(MADE.secret), ("read",), ("t1",), 0)
FORMER, PRESENT = "f" * 32, "p" * 32
SESSIONS = Sessions([PRESENT])
TOKEN = SESSIONS.token(MADE.key_id, NOW_MS)
UNTIL_MS = (NOW_MS // 1000 + SECONDS) * 1000


def test_a_token_says_which_key_was_shown_and_shows_nothing_of_it() -> None:
    assert SESSIONS.read(TOKEN) == Session(MADE.key_id, UNTIL_MS // 1000)
    assert MADE.secret not in TOKEN
    assert len(TOKEN) < LONGEST


@example("\udce9.a.b")
@given(st.one_of(st.text(), st.text(alphabet="abcWyIx.-_=", max_size=100)))
def test_what_nobody_signed_is_none(text: str) -> None:
    assert SESSIONS.read(text) is None


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_a_token_of_which_a_character_differs_is_none(place: int, put: str) -> None:
    changed = TOKEN[:place] + put + TOKEN[place + 1 :]
    read = SESSIONS.read(changed)
    # The last character of an unpadded base 64 has bits that mean nothing.
    assert read is None or read == SESSIONS.read(TOKEN)


def test_while_a_secret_replaces_another_tokens_of_both_hold_and_the_new_one_signs() -> None:
    both = Sessions([PRESENT, FORMER])
    assert both.read(Sessions([FORMER]).token(MADE.key_id, NOW_MS)) is not None
    assert SESSIONS.read(both.token(MADE.key_id, NOW_MS)) is not None
    assert Sessions([FORMER]).read(both.token(MADE.key_id, NOW_MS)) is None
    assert SESSIONS.read(Sessions([FORMER]).token(MADE.key_id, NOW_MS)) is None


@pytest.mark.parametrize(
    ("now_ms", "keys", "is_open"),
    [
        (NOW_MS, {MADE.key_id: KEY}, True),
        (UNTIL_MS - 1, {MADE.key_id: KEY}, True),
        (UNTIL_MS, {MADE.key_id: KEY}, False),
        (NOW_MS, {}, False),
        (NOW_MS, {MADE.key_id: Key(KEY.digest, KEY.scopes, KEY.tenants, 0, revoked_at_ms=NOW_MS)}, False),
        (NOW_MS, {MADE.key_id: Key(KEY.digest, KEY.scopes, KEY.tenants, 0, expires_at_ms=NOW_MS)}, False),
    ],
)
def test_a_session_opens_what_its_key_does_until_one_of_them_ends(
    now_ms: int, keys: dict[str, Key], is_open: bool
) -> None:
    session = SESSIONS.read(TOKEN)
    decision = decide((), Needed("read"), "t1", keys, now_ms, session)
    assert decision == (Granted(MADE.key_id, KEY) if is_open else NO_KEY)


def test_a_header_comes_before_a_session() -> None:
    session = SESSIONS.read(TOKEN)
    wrong = [f"Bearer {new_key().text}"]
    assert decide(wrong, Needed("read"), "t1", {MADE.key_id: KEY}, NOW_MS, session) == NO_KEY
