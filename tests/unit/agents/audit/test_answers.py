"""Answers of the view are compared only with rows that they must contain."""

import msgspec
import orjson
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.audit.answers import (
    CampaignAnswer,
    Compared,
    OperatorsAnswer,
    Receipt,
    compared,
    flat,
)
from tally.agents.view.answer import campaign_answer
from tally.agents.view.campaign import PartitionRow
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Row
from tests.support.view_rows import COUNTS, NEWS, PROMO

CAMPAIGN = ("t1", "c1")
OPERATORS = ("t1", "")
RECEIPT = Receipt(1, {0: 10, 1: 10})
SEATED = Template("pbx01", "PJSIP/1")


def row(counts: dict[str, int], next_offset: int = 1) -> Row:
    return Row(next_offset, 1_795_000_000_000, 1_795_000_000_000, [], counts, ["whatsapp", "voice"])


def told(rows: list[PartitionRow], receipt: Receipt = RECEIPT) -> CampaignAnswer:
    """What a worker with these rows answers, by way of JSON."""
    body = orjson.dumps({**campaign_answer(rows), "receipt": msgspec.to_builtins(receipt, str_keys=True)})
    return msgspec.json.decode(body, type=CampaignAnswer)


def of_campaign(counts: dict[Template | None, dict[str, int]], partition: int = 0) -> list[PartitionRow]:
    return [
        PartitionRow(partition, RowKey(*CAMPAIGN, template), row(found)) for template, found in counts.items()
    ]


@given(st.dictionaries(st.sampled_from([None, PROMO, NEWS]), COUNTS), COUNTS)
def test_a_view_of_the_same_rows_answers_as_the_rows_come_to(
    one: dict[Template | None, dict[str, int]], other: dict[str, int]
) -> None:
    rows = [*of_campaign(one), *of_campaign({PROMO: other}, partition=1)]
    assert compared(CAMPAIGN, rows, told(rows)) == Compared()


def test_every_number_that_an_answer_has_wrong_is_named_with_its_template() -> None:
    held = of_campaign({PROMO: {"delivered": 3, "errors.other": 1, "time_to_read.35": 2}})
    answer = told(of_campaign({PROMO: {"delivered": 2, "errors.other": 1, "time_to_read.50": 2}}))
    found = compared(CAMPAIGN, held, answer).drift
    assert {(one.row.template, one.counter, one.held, one.counted) for one in found} >= {
        (None, "delivered", 3, 2),
        (PROMO, "delivered", 3, 2),
        (PROMO, "time_to_read.p50_ms", 35_000, 50_000),
    }
    assert not any("errors" in one.counter for one in found)
    assert {(one.source, one.partition) for one in found} == {("view", None)}


def test_a_campaign_that_the_view_does_not_know_is_drift_unless_nothing_is_counted() -> None:
    unknown = CampaignAnswer(RECEIPT)
    assert compared(CAMPAIGN, of_campaign({PROMO: {}}), unknown) == Compared()
    (wrong,) = (
        one
        for one in compared(CAMPAIGN, of_campaign({PROMO: {"read": 1}}), unknown).drift
        if (one.row.template, one.counter) == (PROMO, "read")
    )
    assert (wrong.held, wrong.counted) == (1, 0)


def test_a_campaign_with_a_row_that_is_newer_than_the_answer_is_late_as_a_whole() -> None:
    rows = [
        *of_campaign({PROMO: {"read": 1}}),
        PartitionRow(1, RowKey(*CAMPAIGN, NEWS), row({"read": 5}, next_offset=11)),
    ]
    assert compared(CAMPAIGN, rows, told([])) == Compared(late_rows=2)
    assert compared(CAMPAIGN, rows, told([], Receipt(1, {0: 1, 1: 11}))).drift


def test_a_partition_that_a_receipt_does_not_name_is_one_of_which_the_view_knows_nothing() -> None:
    rows = of_campaign({PROMO: {"read": 1}}, partition=7)
    assert compared(CAMPAIGN, rows, told([])) == Compared(late_rows=1)


def test_operators_are_compared_one_by_one_and_those_that_changed_since_are_late() -> None:
    other = Template("pbx01", "PJSIP/2")
    rows = [
        PartitionRow(0, RowKey(*OPERATORS, SEATED), row({"connects": 2, "memberships.name=Ann": 1})),
        PartitionRow(1, RowKey(*OPERATORS, SEATED), row({"connects": 1})),
        PartitionRow(0, RowKey(*OPERATORS, other), row({"connects": 9}, next_offset=11)),
    ]
    body = b"""{"receipt": {"generation": 1, "progress": {"0": 10, "1": 10}}, "operators": [
        {"pbx": "pbx01", "operator": "PJSIP/1", "counts": {"connects": 4, "talk_ms": 0}},
        {"pbx": "pbx01", "operator": "PJSIP/2", "counts": {"connects": 1}}]}"""
    found = compared(OPERATORS, rows, msgspec.json.decode(body, type=OperatorsAnswer))
    (wrong,) = found.drift
    assert (wrong.row.template, wrong.counter, wrong.held, wrong.counted) == (SEATED, "connects", 3, 4)
    assert found.late_rows == 1


def test_flat_numbers_have_no_entry_for_what_is_not_known() -> None:
    assert flat({"read": 1, "errors": {"other": 2}, "time_to_read": {"count": 0, "p50_ms": None}}) == {
        "read": 1,
        "errors.other": 2,
        "time_to_read.count": 0,
    }
