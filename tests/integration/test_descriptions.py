"""What campaigns are called: every field is that of the latest time that names it, whatever else was said."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest

from tally.agents.route.decision import route_records
from tally.agents.view.answer import campaign_answer
from tally.oracle.recount import begin, connect, fetch, headers_of, recount
from tally.schemas.grains import RowKey
from tally.schemas.rows import decode_row
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition

AT_MS = 1_795_350_000_000
PUBLISHED_MS = AT_MS + 3_600_000
FIELDS = ("name", "status", "tags", "planned", "limits")
NOTHING: dict[str, Any] = {"name": None, "status": None, "tags": [], "planned": None, "limits": {}}
Saying = tuple[bytes | None, bytes]
"""A record's key and value."""
Described = dict[tuple[str, str], dict[str, Any]]
Describe = Callable[[Sequence[Saying]], Described]


def said(at: int = 0, /, *, under: bytes = b"t1/c1", **fields: Any) -> Saying:
    """Return a record of so many milliseconds after AT_MS, with its key."""
    return under, json.dumps({"tenant": "t1", "campaign": "c1", "time": AT_MS + at, **fields}).encode()


async def _by_sql(dsn: str, records: Sequence[Saying]) -> Described:
    connection = await connect(dsn)
    try:
        await begin(connection)
        rows = [
            ("campaigns", 0, offset, PUBLISHED_MS, value, headers_of("campaigns", key, ()))
            for offset, (key, value) in enumerate(records)
        ]
        await connection.copy_records_to_table("raw", schema_name="recount", records=rows)
        await recount(connection)
        found = await fetch(connection, "recount.campaign_stats")
    finally:
        await connection.close()
    return {(row["tenant"], row["campaign"]): {name: row[name] for name in FIELDS} for row in found}


@dataclass(frozen=True)
class Record:
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[()] = ()
    timestamp: int = PUBLISHED_MS


def _by_fold(records: Sequence[Saying]) -> Described:
    partition = MemoryPartition()
    routed = route_records("campaigns", [Record(at, *record) for at, record in enumerate(records)])
    for facts, _ in routed.facts:
        partition.fold(facts, Rules())
    rows = [
        (0, RowKey.decode(key), decode_row(row)) for key, row in partition.rows() if decode_row(row).counts
    ]
    assert partition.counts() == partition.recounted(Rules())
    return {
        (key.tenant, key.campaign): {
            name: value for name, value in campaign_answer([(0, key, row)]).items() if name in FIELDS
        }
        for _, key, row in rows
    }


@pytest.fixture(params=["fold", "plain sql"])
def describe(request: pytest.FixtureRequest) -> Describe:
    if request.param == "fold":
        return _by_fold
    dsn = request.getfixturevalue("recount_database")
    return lambda records: asyncio.run(_by_sql(dsn, records))


def test_a_record_with_a_status_alone_keeps_the_name(describe: Describe) -> None:
    full = said(
        name="November", status="running", tags=["b", "a", "b"], planned=1000, limits={"per_second": 80}
    )
    later = said(5, status="paused")

    for records in permutations([full, later, full]):
        assert describe(records) == {
            ("t1", "c1"): {
                "name": "November",
                "status": "paused",
                "tags": ["a", "b"],
                "planned": 1000,
                "limits": {"per_second": 80},
            }
        }


def test_each_field_is_that_of_the_latest_time_that_names_it_in_any_order(describe: Describe) -> None:
    records = [
        said(1, name="first", planned=10),
        said(2, name="second"),
        said(3, planned=0),
        said(2, status="running", name="also second"),
        said(4, tags=["x"], limits={"per_day": 5, "per_second": None, "other": 7}),
    ]
    expected = NOTHING | {
        "name": "second",
        "planned": 0,
        "status": "running",
        "tags": ["x"],
        "limits": {"per_day": 5},
    }

    for order in (records, records[::-1], records[2:] + records):
        assert describe(order) == {("t1", "c1"): expected}


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "n"), ("status", "done"), ("tags", ["t"]), ("planned", 7), ("limits", {"per_day": 7})],
)
def test_null_says_that_there_is_none_until_something_later_is_said(
    describe: Describe, field: str, value: Any
) -> None:
    given: dict[str, Any] = {field: value}
    none: dict[str, Any] = {field: None}
    cleared, again = [said(0, **given), said(1, **none)], said(2, **given)

    assert describe(cleared).get(("t1", "c1"), NOTHING)[field] == NOTHING[field]
    assert describe([again, *cleared])["t1", "c1"][field] == value


@pytest.mark.parametrize(
    "bad",
    [
        {"name": ""},
        {"name": "n" * 129},
        {"name": 7},
        {"name": "a\0b"},
        {"status": "s" * 65},
        {"tags": "x"},
        {"tags": ["x", 7]},
        {"tags": ["x", None]},
        {"tags": [""]},
        {"tags": ["t"] * 33},
        {"tags": ["t" * 65]},
        {"planned": -1},
        {"planned": 1.5},
        {"planned": "7"},
        {"planned": True},
        {"planned": 1_000_000_001},
        {"planned": 1 << 70},
        {"limits": []},
        {"limits": {"per_second": 0}},
        {"limits": {"per_second": "80"}},
    ],
    ids=str,
)
def test_a_field_that_is_none_costs_that_field_alone(describe: Describe, bad: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "n", "status": "s", "tags": ["t"], "planned": 1, "limits": {"per_day": 1}}

    (found,) = describe([said(**{**good, **bad})]).values()

    assert found == {name: NOTHING[name] if name in bad else value for name, value in good.items()}


@pytest.mark.parametrize(
    "record",
    [
        said(under=b"t1/c2", name="n"),
        said(under=b"t1", name="n"),
        said(under=b"t1/c1/", name="n"),
        said(under=b'{"tenant":"t1"}', name="n"),
        said(under=b"\xff", name="n"),
        said(v=2, name="n"),
        said(time="soon", name="n"),
        said(time=AT_MS // 1000, name="n"),
        said(time=PUBLISHED_MS + 86_400_001, name="n"),
        said(tenant="", name="n"),
        said(campaign=None, name="n"),
        said(),
        (b"t1/c1", b"[]"),
        (b"t1/c1", b"{"),
    ],
    ids=str,
)
def test_what_is_not_of_the_contract_or_under_another_key_says_nothing(
    describe: Describe, record: Saying
) -> None:
    assert describe([record]) == {}


@pytest.mark.parametrize(("tenant", "campaign", "key"), [("t/1", "c%2", b"t%2F1/c%252"), (7, 12, b"7/12")])
def test_a_key_is_tenant_and_campaign_with_slash_and_percent_escaped(
    describe: Describe, tenant: Any, campaign: Any, key: bytes
) -> None:
    record = said(under=key, tenant=tenant, campaign=campaign, name="=a.b/c%=")

    assert describe([record]) == {(str(tenant), str(campaign)): NOTHING | {"name": "=a.b/c%="}}
