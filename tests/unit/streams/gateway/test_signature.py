"""Laws of signatures and handshakes."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.streams.gateway.signature import LONGEST_CHALLENGE, challenge_of, is_signed

NEW, OLD = b"the-secret", b"the-secret-before"
BODY = '{"text": "\\u00e4 ü 🙂 \\/"}'.encode()
VERIFY = "a-verify-token-of-enough-letters"


def of(body: bytes, key: bytes = NEW) -> str:
    return "sha256=" + hmac.new(key, body, "sha256").hexdigest()


@given(st.binary(), st.sampled_from([NEW, OLD]))
def test_a_body_signed_with_either_secret_is_metas(body: bytes, key: bytes) -> None:
    assert is_signed(body, [of(body, key)], (NEW, OLD))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_signature_is_of_one_body_alone(signed: bytes, sent: bytes) -> None:
    assert is_signed(sent, [of(signed)], (NEW,)) == (sent == signed)


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        [""],
        ["sha256="],
        [of(BODY).removeprefix("sha256=")],
        [of(BODY, b"another app's")],
        [of(BODY)[:-1]],
        [of(BODY) + "0"],
        [of(BODY)[:-2] + "zz"],
        [of(BODY)[:7] + " " + of(BODY)[8:]],
        [of(BODY).replace("sha256", "sha1")],
        [of(BODY), of(BODY)],
        ["sha256=" + "é" * 64],
        ["sha256=" + "٣" * 64],
    ],
)
def test_anything_else_is_not(signatures: list[str]) -> None:
    assert not is_signed(BODY, signatures, (NEW, OLD))


def test_a_proxy_may_have_changed_the_case_of_the_signature() -> None:
    assert is_signed(BODY, [of(BODY).upper()], (NEW,))


ASKED = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}


def test_a_handshake_with_the_token_is_answered_with_the_challenge_as_it_is() -> None:
    assert challenge_of(list(ASKED.items()), VERIFY) == "1158201444"
    assert challenge_of(list((ASKED | {"hub.challenge": "a <b>ü"}).items()), VERIFY) == "a <b>ü"


@pytest.mark.parametrize(
    "query",
    [
        [],
        list((ASKED | {"hub.verify_token": VERIFY[:-1]}).items()),
        list((ASKED | {"hub.verify_token": ""}).items()),
        list((ASKED | {"hub.verify_token": "\udcff" + VERIFY}).items()),
        list((ASKED | {"hub.mode": "unsubscribe"}).items()),
        list((ASKED | {"hub.challenge": ""}).items()),
        list((ASKED | {"hub.challenge": "x" * (LONGEST_CHALLENGE + 1)}).items()),
        [*ASKED.items(), ("hub.challenge", "another")],
        [("hub.verify_token", "wrong"), *ASKED.items()],
    ],
)
def test_any_other_is_refused(query: list[tuple[str, str]]) -> None:
    assert challenge_of(query, VERIFY) is None
