"""The plain count and its load."""

import pytest

from bench.load import Size, load
from bench.oracle import PeerRows
from bench.plain_count import _same, plain_count

PROMO, OTHER = ("t", "c", "promo", "en"), ("t", "c", "other", "en")
SIZE = Size(200, tenants=2)


def test_every_message_counts_once_whatever_came_twice() -> None:
    rows = plain_count(load(SIZE, seed=1))
    sent, delivered, read, failed, replied = (sum(row[nth] for row in rows.values()) for nth in range(5))

    assert sent == SIZE.messages
    assert delivered + failed == sent
    assert 0 < read < delivered
    assert 0 < replied < sent


def test_the_order_of_events_changes_no_count() -> None:
    records = load(SIZE, seed=1)

    assert plain_count(records) == plain_count(records[::-1]) == plain_count(records + records)


def test_a_row_that_differs_is_missing_or_is_too_many_is_an_error() -> None:
    row: PeerRows = {PROMO: (1, 1, 0, 0, 0)}
    wrong: tuple[PeerRows, ...] = ({}, {PROMO: (2, 1, 0, 0, 0)}, {**row, OTHER: (1, 1, 0, 0, 0)})

    _same("view", row, row)
    for found in wrong:
        with pytest.raises(AssertionError, match="view"):
            _same("view", found, row)
