"""Keys and values of callers who wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.missing import is_missing
from tally.schemas.waiting import WAITING, Caller, decode_caller, decode_since, encode_since, is_waiting

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(st.builds(Caller, TEXTS, TEXTS, TEXTS, TEXTS))
def test_a_caller_comes_back_from_its_key(caller: Caller) -> None:
    key = caller.encode()

    assert decode_caller(key) == caller
    assert is_waiting(key)
    assert not is_missing(key)


@given(st.integers(0, 1 << 50))
def test_a_time_comes_back_from_its_value(since_ms: int) -> None:
    assert decode_since(encode_since(since_ms)) == since_ms


@pytest.mark.parametrize("key", [WAITING, WAITING + b"t1/pbx01/sales"])
def test_a_key_of_other_parts_is_no_callers(key: bytes) -> None:
    with pytest.raises(ValueError, match="no caller"):
        decode_caller(key)
