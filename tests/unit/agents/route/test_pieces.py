"""A pass of route is split by sizes without loss or reordering."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.route.pieces import (
    LONG_BYTES,
    LONG_ELEMENTS,
    PIECE_BYTES,
    PIECE_RECORDS,
    PORTION_FACTS,
    is_long,
    pieces,
    portions,
)
from tally.schemas.records import Origin


class Raw:
    key = None
    headers = ()
    offset = 0
    timestamp = 0

    def __init__(self, size: int) -> None:
        self.value = bytes(size)


sizes = st.lists(
    st.one_of(st.integers(0, 5_000), st.sampled_from([PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1])),
    max_size=3 * PIECE_RECORDS,
)


@given(sizes)
def test_pieces_are_all_records_in_order_and_none_is_larger_than_a_step(given_sizes: list[int]) -> None:
    records = [Raw(size) for size in given_sizes]

    found = [list(piece) for piece in pieces(records)]

    assert [record for piece in found for record in piece] == records
    for piece in found:
        assert 0 < len(piece) <= PIECE_RECORDS
        taken = [len(record.value or b"") for record in piece]
        assert len(piece) == 1 or sum(taken) <= PIECE_BYTES
        assert not is_long(piece[0]) or len(piece) == 1


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_record_is_long_by_its_bytes_or_by_its_elements(beyond: int) -> None:
    many, long = Raw(0), Raw(LONG_BYTES + beyond)
    many.value = b"," * (LONG_ELEMENTS + beyond) + bytes(PIECE_BYTES)

    assert (is_long(many), is_long(long)) == (beyond > 0, beyond > 0)


def test_a_short_record_is_never_long() -> None:
    short = Raw(0)
    short.value = b"," * PIECE_BYTES

    assert not is_long(short)


@given(st.lists(st.integers(0, 3 * PORTION_FACTS), max_size=5))
def test_portions_are_all_facts_in_order_and_none_is_larger_than_a_step(counts: list[int]) -> None:
    events: list[tuple[list[Any], Origin]] = [
        ([(nth, number) for number in range(count)], Origin(nth)) for nth, count in enumerate(counts)
    ]

    found = [(fact, origin) for portion in portions(events) for facts, origin in portion for fact in facts]

    assert found == [(fact, at_ms) for facts, at_ms in events for fact in facts]
    for portion in portions(events):
        assert sum(len(facts) for facts, _ in portion) <= PORTION_FACTS
