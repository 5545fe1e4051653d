"""Versions return the rows as they were when the view answered."""

from tally.agents.audit.versions import NOTHING, Versions
from tally.agents.view.campaign import PartitionRow
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Row

KEY = RowKey("t1", "c1", Template("offer", ""))
SCOPE = ("t1", "c1")


def row(next_offset: int) -> Row:
    return Row(next_offset, 0, 0, [], {"read": next_offset})


def test_a_row_is_what_it_was_last_at_a_progress() -> None:
    versions = Versions([PartitionRow(1, KEY, row(5))])
    versions.apply(1, KEY, row(7))
    versions.apply(1, KEY, row(9))
    at = {progress: versions.at(SCOPE, {1: progress})[0].row for progress in (4, 5, 6, 7, 8, 9, 10)}
    assert at[5] == at[6] == row(5)
    assert at[7] == at[8] == row(7)
    assert at[9] == at[10] == row(9)
    assert at[4] == row(5), "what it was before is not known: it is late"


def test_a_row_that_was_first_written_since_was_nothing_before() -> None:
    versions = Versions([])
    versions.apply(0, KEY, row(7))
    assert versions.at(SCOPE, {0: 6}) == [PartitionRow(0, KEY, NOTHING)]
    assert versions.at(SCOPE, {0: 7}) == [PartitionRow(0, KEY, row(7))]


def test_of_rows_written_at_one_progress_the_later_one_counts() -> None:
    versions = Versions([PartitionRow(0, KEY, row(7))])
    versions.apply(0, KEY, recounted := Row(7, 0, 0, [], {"read": 1}))
    assert versions.at(SCOPE, {0: 7}) == [PartitionRow(0, KEY, recounted)]


def test_partitions_have_a_progress_each_and_one_that_is_not_named_has_none() -> None:
    versions = Versions([PartitionRow(0, KEY, row(5)), PartitionRow(1, KEY, row(6))])
    versions.apply(0, KEY, row(8))
    versions.apply(1, KEY, row(8))
    assert versions.at(SCOPE, {0: 8}) == [PartitionRow(0, KEY, row(8)), PartitionRow(1, KEY, row(6))]


def test_rows_are_asked_for_by_tenant_and_campaign_and_those_of_nobody_cannot_be() -> None:
    seat = Template("pbx01", "PJSIP/1")
    keys = [KEY, RowKey("t1", "c1", None), RowKey("t1", "", seat), RowKey("", "", seat)]
    assert Versions([PartitionRow(0, key, row(1)) for key in keys]).scopes() == [SCOPE, ("t1", "")]
    assert Versions([]).at(SCOPE, {}) == []
