"""Rows as records of columns, and what failures of Postgres mean."""

import asyncpg
import pytest

from tally.schemas.counters import COUNTERS
from tally.tables.postgres.columns import COUNTED, KEY, VALUES, is_older, record
from tally.tables.postgres.failures import Away, PostgresFailure, Refused, Unacceptable, named
from tests.support.sink_doubles import key, row


def test_a_record_has_every_column_and_zeros_where_nothing_was_counted() -> None:
    values = record(key(), row(7))
    assert set(values) == KEY.keys() | VALUES.keys()
    assert [values[counter.name] for counter in COUNTERS] == [
        {} if COUNTED[counter.name] == "jsonb" else 0 for counter in COUNTERS
    ]


def test_entries_go_into_their_map_by_the_name_before_the_first_dot() -> None:
    values = record(key(), row(7, **{"errors.meta:1.5": 2, "time_to_read.negative": 1, "read": 3}))
    assert (values["errors"], values["time_to_read"], values["read"]) == ({"meta:1.5": 2}, {"negative": 1}, 3)


def test_a_counter_that_the_registry_does_not_know_is_left_to_a_newer_writer() -> None:
    counts = {"shouted": 1, "echoes.busy": 2, "errors": 3, "read.1": 4, "errors.": 5}
    assert record(key(), row(7, **counts)) == record(key(), row(7))


def test_columns_that_more_are_known_of_are_newer() -> None:
    assert is_older("0010-aa", "0011-bb")
    assert not is_older("0010-aa", "0010-bb")
    assert not is_older("0010-aa", "0009-bb")
    assert not is_older("0010-aa", "")


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        *((code, Away) for code in ("08006", "57P01", "57014", "53100", "53300", "40001", "40P01", "55P03")),
        *((code, Away) for code in ("25006", "25P03", "58030", "XX000")),
        *((code, Refused) for code in ("28P01", "3D000", "3F000", "42501", "42P01", "42703")),
        *((code, Unacceptable) for code in ("22003", "22021", "22P05", "23514", "54000")),
    ],
)
def test_a_failure_is_known_by_its_sqlstate_class(sqlstate: str, kind: type[PostgresFailure]) -> None:
    failure = named(asyncpg.PostgresError.new({"C": sqlstate, "M": "what the server said"}))
    assert type(failure) is kind
    assert str(failure) == f"{sqlstate}: what the server said"
    assert failure.group == sqlstate[:2]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError("postgresql://u:secret-word@h/d"), Away),
        (TimeoutError("secret-word"), Away),
        (asyncpg.InterfaceError("secret-word"), Away),
        (asyncpg.TargetServerAttributeNotMatched("secret-word"), Away),
        (asyncpg.ClientConfigurationError("secret-word"), Refused),
    ],
)
def test_what_a_client_says_of_a_failure_is_never_repeated(
    error: Exception, kind: type[PostgresFailure]
) -> None:
    failure = named(error)
    assert type(failure) is kind
    assert "secret-word" not in str(failure)


def test_a_defect_of_ours_is_no_failure_of_postgres() -> None:
    assert named(KeyError("row")) is None
