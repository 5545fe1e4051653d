"""Fetches linger at the broker while records flow, and only then."""

import pytest

from tally.streams.transport.fetching import TRICKLE_RECORDS, flows


@pytest.mark.parametrize("before", [False, True])
def test_a_fetch_without_records_ends_a_flow_so_that_the_next_record_comes_at_once(before: bool) -> None:
    assert not flows(before, 0)


@pytest.mark.parametrize("before", [False, True])
def test_single_records_change_nothing(before: bool) -> None:
    for records in range(1, TRICKLE_RECORDS + 1):
        assert flows(before, records) == before


def test_more_records_are_a_flow() -> None:
    assert flows(False, TRICKLE_RECORDS + 1)
