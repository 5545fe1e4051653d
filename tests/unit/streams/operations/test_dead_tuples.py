"""When `tally doctor` says that dead tuples are not taken away, and why they are not."""

import pytest

from tally.streams.operations.dead_tuples import (
    HELD_SECONDS,
    MOST_SHARE,
    SPARED,
    Holder,
    NotVacuumed,
    Table,
    judged,
)

QUIET = Table("counters", 200_000, 4_000)
BUSY = Table("sink_progress", 2, 2)
"""A row that is rewritten each second is half dead, and nobody's trouble."""


def test_a_table_with_few_dead_tuples_or_of_few_rows_is_well() -> None:
    assert judged([QUIET, BUSY], True, []) == "at most 50% of a table (sink_progress: 2 of 4)"
    assert judged([], True, []) == "at most 0% of a table (counters: 0 of 0)"
    at_the_bound = Table("cells", round(SPARED / MOST_SHARE) - SPARED, SPARED)
    assert judged([at_the_bound], True, []).startswith("at most 20%")


@pytest.mark.parametrize(
    ("tables", "is_on", "holders", "said"),
    [
        ([Table("cells", 40_000, 20_000)], True, [], "cells has 20,000 of them, 33%"),
        ([QUIET], False, [], "the server runs no autovacuum"),
        ([Table("cells", 1, 0, is_off=True)], True, [], "autovacuum is switched off for cells"),
        (
            [QUIET],
            True,
            [Holder("the transaction of process 7 (psql)", HELD_SECONDS + 60), Holder("another", 1.0)],
            r"^the transaction of process 7 \(psql\), open for 11 minutes, keeps what died since",
        ),
        (
            [QUIET],
            True,
            [Holder("the replication slot old", float("inf"))],
            "^the replication slot old keeps",
        ),
    ],
)
def test_what_keeps_dead_tuples_is_named(
    tables: list[Table], is_on: bool, holders: list[Holder], said: str
) -> None:
    with pytest.raises(NotVacuumed, match=said):
        judged(tables, is_on, holders)


def test_a_young_snapshot_keeps_nothing_that_matters() -> None:
    assert judged([QUIET], True, [Holder("the transaction of process 7", HELD_SECONDS)])
