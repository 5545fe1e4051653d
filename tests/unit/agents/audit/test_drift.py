"""Drift is the difference of two counts of the same rows, without rows that are only late."""

import pytest

from tally.agents.audit.drift import comparable, drift
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template

ROW = RowKey("t1", "c1", Template("offer", ""))
KEY = ROW.encode()


@pytest.mark.parametrize(
    ("held", "counted", "differing"),
    [
        ({}, {}, []),
        ({KEY: {"sent": 1}}, {KEY: {"sent": 1, "read": 0}}, []),
        ({KEY: {"sent": 2, "read": 1}}, {KEY: {"sent": 1, "read": 1}}, [("sent", 2, 1)]),
        ({KEY: {"sent": 2}}, {}, [("sent", 2, 0)]),
        ({}, {KEY: {"errors.other": 3}}, [("errors.other", 0, 3)]),
    ],
)
def test_every_counter_that_differs_is_named_and_what_is_missing_is_zero(
    held: dict[bytes, dict[str, int]],
    counted: dict[bytes, dict[str, int]],
    differing: list[tuple[str, int, int]],
) -> None:
    found = list(drift("states", 3, held, counted))

    assert [(one.counter, one.held, one.counted) for one in found] == differing
    assert all((one.source, one.partition, one.row) == ("states", 3, ROW) for one in found)


def test_rows_that_postgres_has_not_been_sent_are_late_and_those_it_has_since_are_newer() -> None:
    held = {b"a": (5, {"n": 1}), b"b": (6, {"n": 2}), b"c": (7, {"n": 3}), b"d": (7, {"n": 4})}
    stored = {b"a": (5, {"n": 9}), b"b": (4, {"n": 1}), b"c": (8, {"n": 4}), b"e": (1, {"n": 5})}
    ours, theirs, behind = comparable(held, stored)

    assert (ours, theirs) == ({b"a": {"n": 1}}, {b"a": {"n": 9}, b"e": {"n": 5}})
    assert behind == 2
