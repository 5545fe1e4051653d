"""An audit of lines finds every counter of a row that they do not sum up to."""

from tally.agents.audit.lines import broken_lines
from tally.schemas.facts import RECIPIENT, AttemptResult
from tally.schemas.keys import FREE_FORM, join_parts
from tally.schemas.records import KeyedFact
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition


def test_rows_that_are_the_sums_of_lines_are_right_and_one_that_counts_more_is_found() -> None:
    partition = MemoryPartition()
    result = AttemptResult("whatsapp", "1", "failed", 1_795_350_870_000, FREE_FORM)
    partition.fold(
        [KeyedFact(RECIPIENT, join_parts("t1", "c1", contact), result) for contact in "89"], Rules()
    )
    ((key, counts),) = partition.counts().items()

    assert list(broken_lines(partition.states(), Rules(), 3, {key: counts})) == []
    (wrong,) = broken_lines(partition.states(), Rules(), 3, {key: counts | {"attempts": 3}})
    assert (wrong.source, wrong.partition, wrong.counter) == ("lines", 3, "attempts")
    assert (wrong.held, wrong.counted) == (3, 2)
