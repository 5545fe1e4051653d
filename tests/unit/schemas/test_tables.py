"""Every table has a byte of its own, for ever: what is stored under it would else be read as another's."""

from tally.schemas.rows import PROGRESS_KEY
from tally.schemas.tables import CODES, table_of
from tally.schemas.topics import COUNTERS
from tally.tables.families.registry import FAMILIES

GIVEN = {
    b"m": "messages",
    b"r": "recipients",
    b"c": "customers",
    b"v": "calls",
    b"o": "operators",
    b"d": "descriptions",
    b"a": "aliases",
    b"s": "resyncs",
    b"p": "open",
    b"i": "incomplete",
    b"e": "cells",
    b"y": "activity",
    b"#": "counters",
}
"""Every byte that was ever given. A line is added for a new table; none is changed, none is removed."""


def test_a_byte_that_was_given_once_is_never_another_tables() -> None:
    assert len(set(CODES.values())) == len(CODES)
    assert {code: table for table, code in CODES.items()}.items() <= GIVEN.items()


def test_a_byte_is_one_byte_and_not_the_one_that_progress_begins_with() -> None:
    assert {len(code) for code in CODES.values()} == {1}
    assert PROGRESS_KEY[:1] not in CODES.values()
    assert table_of(PROGRESS_KEY) is None


def test_a_family_has_the_byte_of_its_table() -> None:
    assert {family.table: family.code for family in FAMILIES}.items() <= CODES.items()


def test_a_key_of_states_tells_its_table_and_rows_are_not_among_them() -> None:
    assert {table: table_of(code + b"key") for table, code in CODES.items()} == {
        table: None if table == COUNTERS else table for table in CODES
    }
    assert table_of(b"") is None
