"""Both judges of call definitions: route and fold in memory, and the recount in plain SQL."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import asyncpg

from tally.agents.fold.rows import recount
from tally.oracle.recount import begin
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.counters import BY_NAME
from tally.schemas.grains import RowKey
from tally.schemas.keys import split_parts
from tally.schemas.sources import READERS
from tally.schemas.topics import COUNTERS
from tally.schemas.waiting import Caller, decode_caller, decode_since, is_waiting
from tally.tables.rules import Rules
from tests.support.call_packets import Event
from tests.support.partition import MemoryPartition

Counters = dict[str, Any]
Recount = Callable[..., "Recounted"]

ORACLE = files("tally.oracle")
RULES = Rules()
UNKNOWN_IS_HUMAN = "CREATE TABLE recount.call_unknown_is_human AS SELECT {} AS is_set;"
RESULTS = ("call_stats", "call_template_stats", "operator_stats")
NAMES = frozenset({"tenant", "campaign", "template_name", "template_language", "pbx", "operator"})
OF_CALLS = frozenset({"requested", *(name for name, counter in BY_NAME.items() if counter.family == "call")})
"""The counters of calls, which these judges compare; other tests compare the rest."""
MAPS = ("hangup_causes", "queues", "queue_waits")


class Recounted:
    """The recount's counters by campaign, script and operator, without zeros."""

    def __init__(
        self,
        campaigns: list[Counters],
        scripts: list[Counters],
        operators: list[Counters],
        waiting: dict[Caller, int],
    ) -> None:
        self.campaigns = {row["campaign"]: counted(row) for row in campaigns}
        self.scripts = {(row["campaign"], row["template_name"]): counted(row) for row in scripts}
        self.operators = {row["operator"]: counted(row) for row in operators}
        self.tenants = {row["tenant"] for row in (*campaigns, *operators)}
        self.everything = (campaigns, scripts, operators)
        self.waiting = waiting

    def __getitem__(self, campaign: str) -> Counters:
        return self.campaigns[campaign]


def counted(row: Counters) -> Counters:
    return {name: value for name, value in row.items() if name not in NAMES and value}


async def by_sql(
    dsn: str, events: list[Event], published_ms: int | None = None, rules: Rules = RULES
) -> Recounted:
    """Count records in plain SQL; `published_ms` is the Kafka timestamp of all, None if unknown."""
    connection = await asyncpg.connect(dsn, timeout=20, command_timeout=120)
    try:
        await begin(connection)
        rows = [
            (topic, nth % 4, nth // 4, published_ms, body, json.dumps(headers))
            for nth, (topic, body, headers) in enumerate(events)
        ]
        await connection.copy_records_to_table("raw", schema_name="recount", records=rows)
        # Set after the copy: COPY is binary and does not support a text codec.
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await connection.execute((ORACLE / "recount.sql").read_text())
        calls = (ORACLE / "recount_calls.sql").read_text()
        assert calls.count(UNKNOWN_IS_HUMAN.format("false")) == 1
        is_set = str(rules.unknown_is_human).lower()
        await connection.execute(
            calls.replace(UNKNOWN_IS_HUMAN.format("false"), UNKNOWN_IS_HUMAN.format(is_set))
        )
        found = [
            sorted((dict(row) for row in await connection.fetch(f"SELECT * FROM recount.{name}")), key=str)  # noqa: S608
            for name in RESULTS
        ]
        callers = await connection.fetch(
            "SELECT tenant, pbx, queue, uniqueid, since_us / 1000 AS since_ms FROM recount.call_waiting"
        )
        waiting = {Caller(*list(row.values())[:4]): row["since_ms"] for row in callers}
    finally:
        await connection.close()
    campaigns, scripts, operators = found
    return Recounted(campaigns, scripts, operators, waiting)


def by_fold(events: list[Event], published_ms: int | None = None, rules: Rules = RULES) -> Recounted:
    """Count records as Tally does, in one partition and two batches."""
    return counted_in(folded(events, published_ms, rules))


def folded(events: list[Event], published_ms: int | None = None, rules: Rules = RULES) -> MemoryPartition:
    """Return one partition that records were folded into, in two batches."""
    partition = MemoryPartition()
    facts = [
        keyed
        for topic, body, headers in events
        for keyed in READERS[topic](body, _encoded(headers), CONVENTIONS, published_ms).facts
    ]
    for some in (facts[::2], facts[1::2]):
        partition.fold(some, rules)
    return partition


def counted_in(partition: MemoryPartition) -> Recounted:
    """Return the counters of calls in a partition's rows."""
    scripts: list[Counters] = []
    operators: list[Counters] = []
    for key, counts in partition.counts().items():
        row = RowKey.decode(key)
        if row.template is None:
            continue  # a campaign's distinct counts, which hold none of calls
        if row.campaign:
            names = {
                "tenant": row.tenant,
                "campaign": row.campaign,
                "template_name": row.template.name,
                "template_language": row.template.language,
            }
            scripts.append({**names, **nested(counts)})
        else:
            pbx, operator = split_parts(key)[2:]
            of_calls = {name: n for name, n in counts.items() if "." not in name}
            if of_calls:
                operators.append({"tenant": row.tenant, "pbx": pbx, "operator": operator, **of_calls})
    return Recounted(
        summed(scripts), sorted(scripts, key=str), sorted(operators, key=str), waiting_in(partition)
    )


def waiting_in(partition: MemoryPartition) -> dict[Caller, int]:
    """Return who waits by the records beside a partition's rows, and since when in unix ms."""
    entries = partition.tables.get(COUNTERS, {}).items()
    held = {key: value for key, value in entries if is_waiting(key)}
    assert recount(partition.states(), Rules(), 0).listed == held
    return {decode_caller(key): decode_since(value) for key, value in held.items()}


def _encoded(headers: dict[str, str]) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in headers.items()]


def nested(counts: Counters) -> Counters:
    """Return the counters of calls in the shape of the SQL result, with nested maps."""
    plain = {name: n for name, n in counts.items() if "." not in name and name in OF_CALLS}
    for name in MAPS:
        entries = {flat.partition(".")[2]: n for flat, n in counts.items() if flat.startswith(f"{name}.")}
        plain |= {name: entries} if entries else {}
    return plain


def summed(scripts: list[Counters]) -> list[Counters]:
    """Return the rows of campaigns, summed over their scripts."""
    rows: dict[tuple[str, str], Counters] = {}
    for script in scripts:
        row = rows.setdefault((script["tenant"], script["campaign"]), {})
        for name, value in script.items():
            if isinstance(value, int):
                row[name] = row.get(name, 0) + value
            elif isinstance(value, dict):
                entries = row.setdefault(name, {})
                for entry, n in value.items():
                    entries[entry] = entries.get(entry, 0) + n
    named = ({"tenant": tenant, "campaign": campaign, **row} for (tenant, campaign), row in rows.items())
    return sorted(named, key=str)
