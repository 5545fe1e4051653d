"""The kinds of things that come to Postgres: which keys are theirs, in which order, and by which SQL."""

import json

import pytest

from tally.schemas.cells import ActivityCell, Cell, encode_counts, encode_minutes
from tally.schemas.keys import FREE_FORM
from tally.schemas.missing import partition_key, subjects_key
from tally.schemas.rows import PROGRESS_KEY, encode
from tally.schemas.tables import CODES
from tally.schemas.topics import COUNTERS, STATES
from tally.tables.pieces import at_once
from tally.tables.postgres.cell_kinds import ACTIVITY, CELLS
from tally.tables.postgres.columns import KEY, record
from tally.tables.postgres.kind import Kind, NotOurs
from tally.tables.postgres.row_kind import DELETE_ROWS, ROWS, UPSERT_ROWS
from tally.tables.postgres.sieve import KINDS, Sieve
from tests.support.sink_doubles import PROMO, key, row


def test_rows_are_what_counters_hold_but_for_progress_and_what_is_missing() -> None:
    sieve = Sieve()
    assert sieve.kind_of(COUNTERS, key().encode()) == "rows"
    for other in (PROGRESS_KEY, partition_key("webhook-events", 1), subjects_key("beyond", ("t1", "c1"))):
        assert sieve.kind_of(COUNTERS, other) is None
    assert {code: sieve.kind_of(STATES, code + key().encode()) for code in CODES.values()} == {
        code: {b"e": "cells", b"y": "activity"}.get(code) for code in CODES.values()
    }
    assert sieve.kind_of(STATES, PROGRESS_KEY) is None
    assert sieve.logs == {COUNTERS, STATES}
    assert not sieve.is_derived


def test_every_writer_locks_rows_in_one_order_the_campaigns_own_row_included() -> None:
    keys = [key(template=None), key(template=FREE_FORM), key(template=PROMO), key("a"), key("b", tenant="t0")]
    rows = [(name.encode(), encode(row(1))) for name in keys]
    assert at_once(ROWS.statements(rows)) == at_once(ROWS.statements(rows[::-1]))
    assert len({name.columns() for name in keys}) == len(keys)


def test_rows_are_sent_as_one_list_of_their_records_and_those_that_are_gone_as_another() -> None:
    names = [key(f"campaign-{n}") for n in range(3)]
    entries = [(name.encode(), encode(row(n))) for n, name in enumerate(names)]
    gone = key("gone")
    deleted, written = at_once(ROWS.statements([*entries, (gone.encode(), None)]))
    assert (deleted.sql, written.sql) == (DELETE_ROWS, UPSERT_ROWS)
    assert json.loads(written.listed) == [record(name, row(n)) for n, name in enumerate(names)]
    assert [tuple(one.values()) for one in json.loads(deleted.listed)] == [gone.columns()]


@pytest.mark.parametrize(("name", "value"), [(b"no-key", b""), (key().encode(), b"no row")])
def test_what_is_no_row_is_named_without_its_value(name: bytes, value: bytes) -> None:
    with pytest.raises(NotOurs, match=r"^no row: \w+$"):
        at_once(ROWS.statements([(name, value)]))


def test_a_kind_tells_whose_numbers_lack_what_is_refused() -> None:
    assert ROWS.whose(key("c1", tenant="t1").encode()) == ("t1", "c1")
    assert ROWS.whose(key("c1", template=None).encode()) == ("t1", "c1")
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_cells_are_sent_with_what_they_count_alone() -> None:
    cell, activity = Cell(key(), "n1", "BR", 7), ActivityCell("t1", "c1", "n1", "", 7)
    (written,) = at_once(
        CELLS.statements([(b"e" + cell.encode(), encode_counts({"accepted": 2, "errors.meta:1": 1}))])
    )
    deleted, replaced = at_once(ACTIVITY.statements([(b"y" + activity.encode(), None)]))
    (sent,) = json.loads(written.listed)

    named = {"tenant": "t1", "campaign": "c1", "quarter": 7, "number": "n1", "queue": ""}
    assert json.loads(replaced.listed) == [named | {"minutes": []}]

    assert sent == {
        **dict(zip(KEY, key().columns(), strict=True)),
        **{"number": "n1", "market": "BR", "quarter": 7, "accepted": 2, "errors": {"meta:1": 1}},
    }
    assert json.loads(deleted.listed) == [
        {"tenant": "t1", "campaign": "c1", "quarter": 7, "number": "n1", "queue": ""}
    ]
    assert CELLS.whose(b"e" + cell.encode()) == ACTIVITY.whose(b"y" + activity.encode()) == ("t1", "c1")


@pytest.mark.parametrize("kind", [CELLS, ACTIVITY])
@pytest.mark.parametrize("name", [b"e", b"no-key", b"et1/c1/\xff/x/y/0000"])
def test_what_is_no_cell_is_named_without_its_value(kind: Kind, name: bytes) -> None:
    with pytest.raises(NotOurs, match=r"^no cell: \w+$"):
        at_once(kind.statements([(name, b"\xc1")]))


def test_an_activity_cell_is_sent_whole_and_by_minute() -> None:
    cell = ActivityCell("t1", "c1", "n1", "", 7)
    value = encode_minutes({"accepted": {0: 2, 14: 1}, "read": {14: 5}})
    written, replaced = at_once(ACTIVITY.statements([(b"y" + cell.encode(), value)]))

    (sent,) = json.loads(written.listed)
    assert (sent["accepted"], sent["read"], sent["failed"]) == (3, 5, 0)
    (minutes,) = json.loads(replaced.listed)
    assert minutes["minutes"] == [{"minute": 0, "accepted": 2}, {"minute": 14, "accepted": 1, "read": 5}]
