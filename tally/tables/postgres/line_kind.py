"""How lines come to Postgres: those of a state that was written replace all that its subject had before."""

from collections.abc import Sequence

from tally.schemas.keys import split_parts
from tally.schemas.tables import CODES
from tally.schemas.topics import STATES
from tally.tables.families.registry import FAMILIES, AnyFamily
from tally.tables.pieces import Steps
from tally.tables.postgres.failures import Unacceptable
from tally.tables.postgres.kind import Entry, Kind, NotOurs, Replacement, Statement, prune_of
from tally.tables.postgres.line_records import LINE_COLUMNS, Record, line_record, subject_digest
from tally.tables.rules import Rules

TABLE = "lines"
VERSION = 1
"""Of what lines say of a state; raise it whenever they say something else of the same one."""
DELETE_LINES = """
DELETE FROM tally.lines WHERE generation = $1 AND partition = $2 AND subject = ANY ($3::bytea[])
"""
PRUNE_LINES = prune_of("tally.lines")
_OF_CODE: dict[bytes, AnyFamily] = {CODES[family.table]: family for family in FAMILIES}
_NAMED_BY_KEY = ("recipients", "descriptions")
"""Families whose keys begin with tenant and campaign."""


def lines_kind(rules: Rules, with_phones: bool) -> Kind:
    """Return the kind of lines by these rules, with phones or without."""

    def statements(entries: Sequence[Entry]) -> Steps[list[Statement]]:
        subjects: list[bytes] = []
        records: list[Record] = []
        for key, value in sorted(entries, key=lambda entry: entry[0]):
            subject = subject_digest(key[:1], key[1:])
            subjects.append(subject)
            if value is not None:
                records += _records(subject, key, value, rules, with_phones)
            yield
        return [
            Replacement(
                sql=DELETE_LINES,
                subjects=subjects,
                table=TABLE,
                columns=tuple(LINE_COLUMNS),
                records=records,
            )
        ]

    return Kind(TABLE, STATES, _is_state, statements, (PRUNE_LINES,), _whose, is_derived=True)


def _no_statements(entries: Sequence[Entry]) -> Steps[list[Statement]]:  # noqa: ARG001
    yield
    return []


NO_LINES = Kind(TABLE, STATES, lambda _: False, _no_statements, (PRUNE_LINES,), lambda _: ("", ""))
"""Writes nothing, and prunes what was written while the ledger was on."""


def columns_with(columns: str, has_lines: bool, with_phones: bool) -> str:
    """Return what a writer knows, with its lines: who has others reads the logs from their start."""
    if not has_lines:
        return columns
    return f"{columns}+lines{VERSION}" + ("+phones" if with_phones else "")


def _records(subject: bytes, key: bytes, value: bytes, rules: Rules, with_phones: bool) -> list[Record]:
    family = _OF_CODE[key[:1]]
    try:
        state = family.decode(value)
    except (TypeError, ValueError) as error:
        raise NotOurs(f"no state: {type(error).__name__}") from None
    try:
        lines = family.lines(key[1:], state, rules)
    # What breaks our own code is withheld: numbers go on without the lines of one subject.
    except Exception as error:
        raise Unacceptable(
            "code", "code_failure", f"lines of {family.table}: {type(error).__name__}"
        ) from None
    return [line_record(subject, family.table, line, with_phones) for line in lines]


def _is_state(key: bytes) -> bool:
    return key[:1] in _OF_CODE


def _whose(key: bytes) -> tuple[str, str]:
    """Return tenant and campaign, where the key of a state says so."""
    if _OF_CODE[key[:1]].table not in _NAMED_BY_KEY:
        return "", ""
    tenant, campaign, *_ = split_parts(key[1:])
    return tenant, campaign
