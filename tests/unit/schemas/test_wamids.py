"""A message is known by its wamid's token, and only text that is exactly a wamid has one."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas import wamids
from tally.schemas.keys import join_parts
from tally.schemas.wamids import message_id, message_key, smaller_spelling, written_id

SENT = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBJBMUIyQzNENEU1RjZBMUIyQzMA"
"""With the peer's phone: the struct of {1: {1: "15550001111", 2: 1}, 2: true, 3: "A1B2C3D4E5F6A1B2C3"}."""
TOKEN = b"A1B2C3D4E5F6A1B2C3"
BODY = b64decode(SENT.removeprefix("wamid."))


def written(body: bytes) -> str:
    return "wamid." + b64encode(body).decode()


def varint(number: int) -> bytes:
    part, rest = number & 0x7F, number >> 7
    return bytes([part | 0x80]) + varint(rest) if rest else bytes([part])


def struct(peer: bytes, number: int, flag: bool, token: bytes) -> bytes:
    head = b"\x1c\x18" + varint(len(peer)) + peer + b"\x15" + varint(number) + b"\x00"
    return head + (b"\x11" if flag else b"\x12") + b"\x18" + varint(len(token)) + token + b"\x00"


def token_of(wamid: str) -> bytes | None:
    """Return a wamid's token; None for any other text."""
    message = message_id(wamid)
    return b64decode(wamid.removeprefix("wamid."))[len(message.spelling) : -1] if message.has_token else None


TOKENS = st.binary(min_size=8, max_size=64)
STRUCTS = st.tuples(st.binary(max_size=300), st.integers(0, (1 << 32) - 1), st.booleans())


@given(STRUCTS, STRUCTS, TOKENS)
def test_all_ids_of_one_message_have_its_token_and_one_key(
    one: tuple[bytes, int, bool], other: tuple[bytes, int, bool], token: bytes
) -> None:
    ids = [written(struct(*spelling, token)) for spelling in (one, other)]

    assert [token_of(wamid) for wamid in ids] == [token, token]
    assert len({message_key("n1", wamid) for wamid in ids}) == 1


@given(TOKENS, TOKENS)
def test_different_tokens_have_different_keys(one: bytes, other: bytes) -> None:
    keys = {message_id(written(struct(b"31", 2, True, token))).part for token in (one, other)}

    assert len(keys) == len({one, other})


def test_a_wamid_as_meta_writes_it_has_its_token() -> None:
    assert token_of(SENT) == TOKEN
    assert message_key("106", SENT) == b"106/t/" + TOKEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wamid.",
        "wamid.1",
        SENT.removeprefix("wamid."),
        SENT.replace("wamid.", "WAMID."),
        SENT + " ",
        SENT + "\n",
        SENT + "AAAA",
        SENT[:-4],
        SENT[:-1] + "B",
        written(struct(b"3161", 2, True, TOKEN)).rstrip("="),
        SENT + "====",
        written(BODY + b"\x00"),
        written(BODY[:-1]),
        written(struct(b"31", 2, True, b"A" * 7)),
        written(struct(b"31", 2, True, b"A" * 65)),
        written(BODY.replace(b"\x11\x18", b"\x13\x18")),
        written(BODY.replace(b"\x15\x02\x00", b"\x15\x82\x00\x00")),
        written(BODY.replace(b"\x15\x02\x00", b"\x15\xff\xff\xff\xff\x1f\x00")),
        written(BODY.replace(b"\x18\x0b", b"\x18\x8b\x00", 1)),
        written(BODY.replace(b"\x1c\x18", b"\x1c\x28")),
        written(b"\x1c\x18\xff\xff\xff\xff\x0f" + BODY),
        "wamid.\u00e9" + SENT,
    ],
)
def test_any_other_text_is_an_id_of_its_own(text: str) -> None:
    assert token_of(text) is None
    assert message_id(text).part == join_parts("x", text)


def test_no_id_longer_than_meta_writes_them_is_kept() -> None:
    before = wamids._kept_id.cache_info().currsize
    for length in range(wamids.KEPT_CHARACTERS + 1, wamids.KEPT_CHARACTERS + 20):
        assert message_id("é" * length).part == join_parts("x", "é" * length)

    assert len(SENT) <= wamids.KEPT_CHARACTERS
    assert wamids._kept_id.cache_info().currsize == before


def test_an_id_without_a_token_never_meets_one_with_that_token() -> None:
    assert message_key("n1", TOKEN.decode()) != message_key("n1", SENT)
    assert message_key("n1", "t/" + TOKEN.decode()) != message_key("n1", SENT)


@given(STRUCTS, STRUCTS, TOKENS)
def test_the_smaller_spelling_is_that_of_the_smaller_id(
    one: tuple[bytes, int, bool], other: tuple[bytes, int, bool], token: bytes
) -> None:
    ids = [written(struct(*spelling, token)) for spelling in (one, other)]
    left, right = (message_id(wamid) for wamid in ids)

    smaller = smaller_spelling(left.spelling, right.spelling)
    assert smaller == smaller_spelling(right.spelling, left.spelling)
    assert written_id(left.part, smaller) == min(ids)


@given(st.text(min_size=1) | TOKENS.map(lambda token: written(struct(b"31", 2, True, token))))
def test_what_an_id_says_is_all_that_it_is_written_from(text: str) -> None:
    assert written_id(*message_id(text)) == text
