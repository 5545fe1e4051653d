"""An audit finds what cells do not sum up to, whichever side is wrong."""

from collections.abc import Callable

import pytest

from tally.agents.audit.cells import broken_laws
from tally.agents.audit.drift import Counted, Drift, drift_of_all
from tally.schemas.cells import encode_counts, encode_minutes
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import decode_row
from tally.schemas.sends.full import read_send
from tally.schemas.tables import ACTIVITY, CELLS
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition

SENDS = [
    b'{"tenant":"t1","channel":"whatsapp","campaign":"c1","contact":{"id":%d,"phone":"551199999%04d"},'
    b'"template":{"name":"promo","language":"pt_BR"},"phone_number_id":"1","outcome":"accepted",'
    b'"message_id":"wamid.%d","time":%d}' % (nth, nth, nth, 1_795_000_000_000 + nth * 600_000)
    for nth in range(8)
]
TEMPLATE = RowKey("t1", "c1", Template("promo", "pt_BR"))
CAMPAIGN = RowKey("t1", "c1", None)


def partition() -> MemoryPartition:
    made = MemoryPartition()
    made.fold([keyed for send in SENDS for keyed in read_send(send).facts], Rules())
    return made


def audited(tables: MemoryPartition) -> list[Drift]:
    rows = {key: decode_row(value).counts for key, value in tables.rows()}
    return list(broken_laws(tables, 3, rows))


def test_nothing_is_found_where_all_sums_are_right() -> None:
    made = partition()
    assert len(made.tables[CELLS]) > 4
    assert audited(made) == []


def lost(tables: MemoryPartition, table: str) -> None:
    del tables.tables[table][min(tables.tables[table])]


def one_more(tables: MemoryPartition, table: str) -> None:
    more = encode_counts({"accepted": 7}) if table == CELLS else encode_minutes({"accepted": {0: 7}})
    tables.tables[table][max(tables.tables[table])] = more


@pytest.mark.parametrize("harm", [lost, one_more])
def test_a_cell_that_is_gone_or_wrong_is_named_by_its_row(
    harm: Callable[[MemoryPartition, str], None],
) -> None:
    made = partition()
    harm(made, CELLS)
    assert {one.row for one in audited(made)} <= {TEMPLATE, CAMPAIGN} != set()
    assert {(one.source, one.partition) for one in audited(made)} == {("cells", 3)}


@pytest.mark.parametrize("harm", [lost, one_more])
def test_activity_that_is_gone_or_wrong_is_named_by_its_campaign(
    harm: Callable[[MemoryPartition, str], None],
) -> None:
    made = partition()
    harm(made, ACTIVITY)
    (wrong,) = audited(made)
    assert (wrong.row, wrong.counter, wrong.held) == (CAMPAIGN, "accepted", 8)
    assert wrong.counted != 8


@pytest.mark.parametrize(("table", "named"), [(CELLS, "cells 1 BR"), (ACTIVITY, "activity 1 -")])
def test_what_counts_in_another_quarter_hour_is_found_by_a_second_count_though_all_sums_are_right(
    table: str, named: str
) -> None:
    made, right = partition(), partition()
    key = min(made.tables[table])
    value = made.tables[table].pop(key)
    made.tables[table][key[:-1] + bytes([key[-1] ^ 1 << 7])] = value
    assert audited(made) == []

    found = list(drift_of_all("raw", 3, counted(made), counted(right)))
    assert {(one.source, one.partition) for one in found} == {("raw", 3)}
    assert len({one.cell for one in found}) == 2
    assert all(one.cell.startswith(f"{named} 2026-11-") for one in found)
    assert sum(one.held - one.counted for one in found) == 0
    assert list(drift_of_all("raw", 3, counted(right), counted(right))) == []


def counted(tables: MemoryPartition) -> Counted:
    rows = {key: decode_row(value).counts for key, value in tables.rows()}
    return Counted(rows, {table: dict(tables.tables[table]) for table in (CELLS, ACTIVITY)})
