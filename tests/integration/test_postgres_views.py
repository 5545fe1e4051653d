"""The SQL views return the numbers of the API, and use indexes."""

import json
import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from tally.agents.view.answer import campaign_answer
from tally.deploy import migrate
from tally.schemas.counters import API_ORDER, DISTRIBUTIONS, MAPS
from tally.schemas.grains import RowKey
from tally.schemas.keys import FREE_FORM, Template
from tally.schemas.rows import Row
from tally.tables.durations import bucket, summarise
from tally.tables.postgres.database import Database
from tally.tables.postgres.writer import Writer
from tests.support.sink_doubles import PROMO, key, progress, row, write
from tests.support.view_rows import FLAT

PlacedRow = tuple[int, RowKey, Row]
CAMPAIGN = "SELECT * FROM tally.campaign_stats WHERE tenant = $1 AND campaign = $2"
TEMPLATES = (
    "SELECT * FROM tally.campaign_template_stats WHERE tenant = $1 AND campaign = $2"
    " ORDER BY template_name, template_language"
)


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


async def store(dsn: str, rows: Sequence[PlacedRow], generation: int = 1) -> None:
    database = await Database.open(dsn)
    try:
        writer = Writer(database, generation)
        await writer.read_progress([])
        for partition in {partition for partition, _, _ in rows}:
            ours = [(name, value) for where, name, value in rows if where == partition]
            await write(writer, partition, ours, progress(1), None)
    finally:
        await database.close()


async def fetch(dsn: str, query: str, *arguments: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [_shown(dict(found)) for found in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    return found | {name: json.loads(found[name]) for name in (*MAPS, *DISTRIBUTIONS) if name in found}


def counters(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in API_ORDER}


@pytest.mark.asyncio
async def test_the_numbers_of_a_campaign_worked_out_by_hand(migrated: str) -> None:
    promo = row(
        1,
        **{"contacts": 4, "attempts": 4, "accepted": 3, "failed_at_send": 1, "sent": 3, "delivered": 2},
        **{"read": 2, "failed_after_send": 1, "contacts_accepted": 2, "replied": 1},
        **{"errors.meta:131026": 1, "errors.meta:132000": 1, "pricing.marketing/regular": 2},
        **{"time_to_deliver.1": 1, "time_to_deliver.3": 1, "time_to_read.negative": 1, "time_to_read.40": 1},
    )
    elsewhere = row(1, accepted=2, delivered=1, sent=1, **{"time_to_deliver.120": 1, "errors.other": 0})
    own = row(1, contacts_accepted=2, replied=1, replied_last_touch=1)
    news = row(1, accepted=1, contacts_accepted=1, replied=1)
    await store(
        migrated,
        [
            *((0, key(), promo), (1, key(), elsewhere), (1, key(template=None), own)),
            *((1, key(template=Template("news", "en_US")), news), (0, key("another"), row(1, accepted=9))),
        ],
    )
    (campaign,) = await fetch(migrated, CAMPAIGN, "t1", "c1")
    expected = dict.fromkeys(API_ORDER, 0) | {
        **{"contacts": 4, "attempts": 4, "accepted": 6, "failed_at_send": 1, "sent": 4, "delivered": 3},
        **{"read": 2, "failed_after_send": 1, "failed": 2, "in_flight": 2},
        **{"contacts_accepted": 2, "replied": 1, "replied_last_touch": 1},
        "errors": {"meta:131026": 1, "meta:132000": 1},
        "pricing": {"marketing/regular": 2},
        **{"hangup_causes": {}, "queues": {}, "queue_waits": {}},
        "time_to_deliver": {"count": 3, "p50_ms": 3000, "p95_ms": 120_000, "p99_ms": 120_000, "negative": 0},
        "time_to_read": {"count": 1, "p50_ms": 40_000, "p95_ms": 40_000, "p99_ms": 40_000, "negative": 1},
    }
    trusted = {"catching_up": False, "withheld": 0}
    unsaid = {"name": None, "status": None, "tags": "[]", "planned": None, "limits": "{}"}
    assert campaign == {"tenant": "t1", "campaign": "c1"} | unsaid | expected | trusted
    english, portuguese = await fetch(migrated, TEMPLATES, "t1", "c1")
    assert (english["template_name"], english["accepted"], english["replied"]) == ("news", 1, 1)
    assert (portuguese["accepted"], portuguese["contacts_accepted"], portuguese["failed"]) == (5, 2, 2)
    assert english["time_to_read"] == {
        **dict.fromkeys(("p50_ms", "p95_ms", "p99_ms")),
        "count": 0,
        "negative": 0,
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(3))
async def test_the_views_say_what_the_api_says(migrated: str, seed: int) -> None:
    draw = random.Random(seed)
    templates = (None, PROMO, Template("news", "en_US"), FREE_FORM)
    rows = [
        # Both channels, so that the answer shows the numbers of both, as SQL does.
        (partition, key(f"c{n}", template), replace(row(1, **counts), channels=["voice", "whatsapp"]))
        for n in range(8)
        for partition in range(4)
        for template in templates
        if (counts := {name: draw.randint(1, 999) for name in draw.sample(FLAT, draw.choice([0, 0, 1, 12]))})
        or draw.random() < 0.5
    ]
    await store(migrated, rows)
    for n in range(8):
        of_campaign = [placed for placed in rows if placed[1].campaign == f"c{n}"]
        answer = campaign_answer(of_campaign)
        shown = await fetch(migrated, TEMPLATES, "t1", f"c{n}")
        assert [(found["template_name"], found["template_language"], counters(found)) for found in shown] == [
            (one["template"]["name"], one["template"]["language"], one["counters"])
            for one in answer["templates"]
        ]
        exists = any(value.counts for _, _, value in of_campaign)
        campaign = await fetch(migrated, CAMPAIGN, "t1", f"c{n}")
        assert [counters(found) for found in campaign] == ([answer["totals"]] if exists else [])


@pytest.mark.asyncio
async def test_percentiles_in_sql_are_those_of_the_registry(migrated: str) -> None:
    draw = random.Random(7)
    cases: list[list[dict[str, int]]] = [[], [{}], [{"negative": 3}], [{"0": 1}], [{"0": 1}, {"0": 99}]]
    for size in (1, 2, 19, 20, 21, 99, 100, 101, 1000):
        parts: list[dict[str, int]] = [{}, {}, {}]
        for _ in range(size):
            part, name = draw.choice(parts), bucket(round(draw.expovariate(1 / 300)) - 5)
            part[name] = part.get(name, 0) + 1
        cases.append(parts)
    connection = await asyncpg.connect(migrated)
    try:
        for parts in cases:
            summed: dict[str, int] = {}
            for part in parts:
                for name, n in part.items():
                    summed[name] = summed.get(name, 0) + n
            found = await connection.fetchval("SELECT tally.summarise_seconds($1)", json.dumps(parts))
            expected = summarise(summed)
            assert json.loads(found) == {name: getattr(expected, name) for name in expected.__struct_fields__}
    finally:
        await connection.close()


@pytest.mark.asyncio
async def test_rows_that_came_to_zeros_do_not_show_and_neither_do_zero_entries(migrated: str) -> None:
    await store(
        migrated,
        [
            *((0, key("gone"), row(1)), (0, key("gone", None), row(1)), (1, key("gone"), row(1))),
            *((0, key("c1"), row(1)), (1, key("c1", FREE_FORM), row(1, accepted=1))),
        ],
    )
    connection = await asyncpg.connect(migrated)
    await connection.execute("""UPDATE tally.counters SET errors = '{"other": 0}' WHERE accepted = 1""")
    await connection.close()
    shown = await fetch(migrated, "SELECT campaign, template_name, errors FROM tally.campaign_template_stats")
    assert shown == [{"campaign": "c1", "template_name": "", "errors": {}}]
    assert await fetch(migrated, "SELECT campaign FROM tally.campaign_stats") == [{"campaign": "c1"}]


@pytest.mark.asyncio
async def test_readers_see_the_generation_that_the_pointer_names_and_none_without_it(migrated: str) -> None:
    await store(migrated, [(0, key(), row(1, accepted=1))], generation=1)
    await store(migrated, [(0, key(), row(1, accepted=2))], generation=2)
    accepted = "SELECT accepted FROM tally.campaign_stats"
    assert await fetch(migrated, accepted) == [{"accepted": 1}]
    connection = await asyncpg.connect(migrated)
    await connection.execute("UPDATE tally.current_generation SET generation = 2")
    assert await fetch(migrated, accepted) == [{"accepted": 2}]
    await connection.execute("DELETE FROM tally.current_generation")
    assert await fetch(migrated, accepted) == []
    await connection.close()


MANY = """
INSERT INTO tally.counters (generation, tenant, campaign, template_name, template_language, grain,
    partition, next_offset, first_ms, last_ms, accepted)
SELECT 1, 't' || n % 50, 'c' || n, '', '', 'template', 0, 1, 1, 1, 1 FROM generate_series(1, 50000) AS n
"""


@pytest.mark.asyncio
async def test_one_campaign_among_fifty_thousand_is_found_by_index(migrated: str) -> None:
    await store(migrated, [])
    connection = await asyncpg.connect(migrated)
    try:
        await connection.execute(MANY)
        await connection.execute("ANALYZE tally.counters")
        for view in ("campaign_stats", "campaign_template_stats"):
            for where in ("tenant = 't7' AND campaign = 'c7'", "campaign = 'c7'"):
                query = f"SELECT * FROM tally.{view} WHERE {where}"  # noqa: S608
                (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT json, ANALYZE) {query}"))
                scans = [node for node in _nodes(plan["Plan"]) if node.get("Relation Name") == "counters"]
                assert [node["Node Type"] for node in scans] == ["Index Scan"], where
                assert "campaign = 'c7'" in scans[0]["Index Cond"]
                assert plan["Execution Time"] < 100.0
    finally:
        await connection.close()


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]


def test_migrations_go_up_and_down_and_up_again(database: str) -> None:
    migrate.up(database)
    applied = migrate.status(database).applied
    for _ in [*migrate.SCRIPTS.migrations.iterdir()]:
        migrate.down(database)
    assert migrate.status(database).applied == ()
    migrate.up(database)
    assert migrate.status(database).applied == applied
