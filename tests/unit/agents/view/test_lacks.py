"""A loss that can be attributed shows only in that tenant's or campaign's receipts."""

import pytest

from tally.agents.view.lacks import Lack, Lacks
from tally.agents.view.model import View
from tally.schemas.missing import Known, Subjects, Value, noticed, partition_key, subjects_key
from tally.schemas.notices import ANY_CAMPAIGN, CODE_FAILURE, LOST_RECORDS, Acknowledged, Reading
from tally.schemas.rows import encode

LOST = noticed(Reading("send-results", 3, "a", 1, None, (10, 17)))[1]
NOTHING = Lack()


def lacks(*entries: tuple[bytes, Value], partition: int = 0) -> Lacks:
    found = Lacks()
    for key, value in entries:
        found.apply(partition, key, encode(value))
    return found


def subjects(tenant: str, campaign: str, count: int = 1, known: Known | None = None) -> tuple[bytes, Value]:
    return subjects_key(CODE_FAILURE, (tenant, campaign)), Subjects(count, 1, known or Known())


def incomplete(found: Lack) -> int:
    return sum(found.incomplete.values())


def test_raw_records_that_are_gone_may_be_anybodys() -> None:
    found = lacks((partition_key("send-results", 3), LOST))
    for lack in (found.of("t1", "c1"), found.of("t2"), found.all):
        assert lack == Lack({LOST_RECORDS: 7})


def test_what_is_of_nobody_concerns_everybody() -> None:
    found = lacks(subjects("", ""))
    assert incomplete(found.of("t1", "c1")) == incomplete(found.of("t1")) == 1


@pytest.mark.parametrize(
    ("tenant", "campaign", "count"),
    [("t1", "c1", 2), ("t1", "c2", 3), ("t1", "c3", 0), ("t1", None, 9), ("t2", "c1", 0), ("t2", None, 0)],
)
def test_what_is_of_a_campaign_concerns_its_answer_and_its_tenants_lists(
    tenant: str, campaign: str | None, count: int
) -> None:
    found = lacks(subjects("t1", "c1", 2), subjects("t1", "c2", 3), subjects("t1", "", 4))
    assert incomplete(found.of(tenant, campaign)) == count


def test_what_is_of_a_tenant_and_of_nobody_knows_which_campaign_concerns_all_of_that_tenants() -> None:
    found = lacks(subjects("t1", ANY_CAMPAIGN, 2), subjects("t1", "c1"))
    assert incomplete(found.of("t1", "c1")) == incomplete(found.of("t1")) == 3
    assert incomplete(found.of("t1", "c2")) == 2
    assert incomplete(found.of("t2", "c1")) == incomplete(found.of("t2")) == 0


def test_partitions_add_up_and_what_is_acknowledged_is_told_apart() -> None:
    found = lacks(subjects("t1", "c1", 5, Known(3, "seen")))
    found.apply(1, *_encoded(subjects("t1", "c1", 2, Known(9, "more than there is"))))
    assert found.of("t1", "c1") == Lack({CODE_FAILURE: 2}, {CODE_FAILURE: 5})


def test_an_older_value_takes_nothing_back() -> None:
    found = lacks(subjects("t1", "c1", 5), subjects("t1", "c1", 1))
    assert incomplete(found.of("t1", "c1")) == 5


def test_sums_that_nobody_needs_are_not_kept_for_ever() -> None:
    found = lacks(subjects("t1", "c1"))
    for number in range(5_000):
        found.of(f"made up {number}")
    assert len(found._sums) <= 1_024


def test_the_view_takes_it_from_beside_the_rows() -> None:
    view = View(1)
    key, value = noticed(Acknowledged(CODE_FAILURE, ("t1", "c1"), 1, "known"))
    view.apply(0, key, encode(value))
    assert view.lacks.all == NOTHING
    view.apply(0, *_encoded(subjects("t1", "c1", 2)))
    assert view.lacks.of("t1", "c1") == Lack({CODE_FAILURE: 1}, {CODE_FAILURE: 1})


def _encoded(entry: tuple[bytes, Value]) -> tuple[bytes, bytes]:
    return entry[0], encode(entry[1])
