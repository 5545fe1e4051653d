"""The demo says whether every row is the sum of its lines; where that is not known it is no success."""

import io

import pytest
from rich.console import Console

from tally.streams.audit.stored import Ledger
from tally.streams.demo import report


@pytest.mark.parametrize(
    ("held", "said", "is_well"),
    [
        (Ledger(4_033, 2, 2, 0), "ledger: 4033 lines, sums equal", True),
        (Ledger(4_033, 2, 2, 3), "ledger: 4033 lines, 3 counters of rows are other sums", False),
        (Ledger(4_033, 2, 1, 0), "ledger: 4033 lines, sums not known: 1 of 2 partitions are whole", False),
        (Ledger(0, 0, 0, 0), "ledger: 0 lines, sums not known: 0 of 0 partitions are whole", False),
    ],
)
def test_a_ledger_is_well_if_every_sum_is_known_and_equal(held: Ledger, said: str, is_well: bool) -> None:
    console = Console(file=io.StringIO(), width=120)
    report.ledger(console, held)
    assert console.file.getvalue().strip() == said  # type: ignore[attr-defined]
    assert held.sums_are_equal is is_well
