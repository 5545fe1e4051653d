"""The SQL views return the numbers of the API, and use indexes."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from tally.agents.view.answer import DIGITS, campaign_answer
from tally.deploy import migrate
from tally.schemas.counters import API_ORDER, DISTRIBUTIONS, MAPS, RATES
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


def named(found: dict[str, Any]) -> dict[str, Any]:
    """The name of a template as answers have it."""
    name, language = found["template_name"], found["template_language"]
    return {"name": name, "language": language, "ids": found["template_ids"]}


def rated(found: dict[str, Any]) -> dict[str, Any]:
    """The rates as answers have them, which round them."""
    values = {rate: found[f"{rate.name}_rate"] for rate in RATES}
    return {
        rate.name: {"value": None if value is None else round(value, DIGITS), "of": rate.denominator}
        for rate, value in values.items()
    }


def at(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def drawn(draw: random.Random, template: Template | None) -> dict[str, int]:
    """Some counts; what is said of a campaign is in its own row alone."""
    names = [name for name in FLAT if template is None or not name.startswith("description.")]
    return {name: draw.randint(1, 999) for name in draw.sample(names, draw.choice([0, 0, 1, 12]))}


def described(draw: random.Random, value: Row) -> Row:
    """A row of both channels, so that the answer has the numbers of both as SQL has; of any time and ids."""
    first_ms = 1_795_350_870_000 + draw.randint(0, 10**9) * 1000
    ids = sorted({str(draw.randint(1, 30)) for _ in range(draw.randint(0, 5))})
    return replace(
        value, first_ms=first_ms, last_ms=first_ms + 7000, labels=ids, channels=["voice", "whatsapp"]
    )


@pytest.mark.asyncio
async def test_the_numbers_of_a_campaign_worked_out_by_hand(migrated: str) -> None:
    promo = row(
        1,
        **{"contacts": 4, "attempts": 4, "accepted": 3, "failed_at_send": 1, "sent": 3, "delivered": 2},
        **{"read": 2, "failed_after_send": 1, "contacts_accepted": 2, "replied": 1},
        **{"errors.meta:131026": 1, "errors.meta:132000": 1, "pricing.marketing/regular": 2},
        **{"pricing_delivered.marketing/regular": 1},
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
        "pricing_delivered": {"marketing/regular": 1},
        **{"hangup_causes": {}, "queues": {}, "queue_waits": {}},
        "time_to_deliver": {"count": 3, "p50_ms": 3000, "p95_ms": 120_000, "p99_ms": 120_000, "negative": 0},
        "time_to_read": {"count": 1, "p50_ms": 40_000, "p95_ms": 40_000, "p99_ms": 40_000, "negative": 1},
    }
    expected |= dict.fromkeys((f"{rate.name}_rate" for rate in RATES), None) | {
        **{"delivery_rate": 3 / 6, "read_rate": 2 / 3, "reply_rate": 1 / 2, "failure_rate": 2 / 4},
        "click_rate": 0.0,
    }
    trusted = {"catching_up": False, "withheld": 0}
    unsaid = {"name": None, "status": None, "tags": "[]", "planned": None, "limits": "{}"}
    described = {"channel": "whatsapp", "template_ids": ["77"]} | unsaid
    span = {"first_activity": at(1_795_350_870_000), "last_activity": at(1_795_350_871_000)}
    assert datetime.now(UTC) - campaign.pop("updated_at") < timedelta(minutes=1)
    assert campaign == {"tenant": "t1", "campaign": "c1"} | described | expected | span | trusted
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
        (partition, key(f"c{n}", template), described(draw, row(1, **counts)))
        for n in range(8)
        for partition in range(4)
        for template in templates
        if (counts := drawn(draw, template)) or draw.random() < 0.5
    ]
    await store(migrated, rows)
    for n in range(8):
        of_campaign = [placed for placed in rows if placed[1].campaign == f"c{n}"]
        answer = campaign_answer(of_campaign)
        shown = await fetch(migrated, TEMPLATES, "t1", f"c{n}")
        assert [(named(found), counters(found), rated(found)) for found in shown] == [
            (one["template"], one["counters"], one["rates"]) for one in answer["templates"]
        ]
        exists = any(value.counts for _, _, value in of_campaign)
        campaign = await fetch(migrated, CAMPAIGN, "t1", f"c{n}")
        assert [(one["channel"], counters(one), rated(one)) for one in campaign] == (
            [(answer["channel"], answer["totals"], answer["rates"])] if exists else []
        )
        for one in campaign:
            spans = [(value.first_ms, value.last_ms) for _, _, value in of_campaign]
            assert one["first_activity"] == at(min(first for first, _ in spans))
            assert one["last_activity"] == at(max(last for _, last in spans))
            assert one["template_ids"] == sorted(
                {name for _, _, value in of_campaign for name in value.labels}
            )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("channels", "shown"),
    [([[]], "whatsapp"), ([["voice"]], "voice"), ([["voice"], ["whatsapp"]], "whatsapp")],
)
async def test_a_campaign_is_shown_by_the_channel_that_the_api_shows_it_by(
    migrated: str, channels: list[list[str]], shown: str
) -> None:
    rows = [(n, key(), replace(row(1, attempts=1), channels=named)) for n, named in enumerate(channels)]
    await store(migrated, rows)
    assert campaign_answer(rows)["channel"] == shown
    for view in ("campaign_stats", "campaign_template_stats"):
        found = await fetch(migrated, f"SELECT channel FROM tally.{view}")  # noqa: S608 - names of ours
        assert found == [{"channel": shown}]


@pytest.mark.asyncio
async def test_a_partition_that_no_sink_has_read_is_catching_up_and_an_empty_one_is_not(
    migrated: str,
) -> None:
    cuts = "SELECT partition, seq, catching_up FROM tally.cuts ORDER BY partition"
    campaigns = "SELECT catching_up FROM tally.campaign_stats"
    database = await Database.open(migrated)
    try:
        writer = Writer(database, 1, partitions=2)
        await writer.read_progress([0])
        await write(writer, 0, [(key(), row(1, accepted=1))], progress(5), None)
        assert await fetch(migrated, campaigns) == [{"catching_up": True}]
        await writer.note_empty(1)
        assert await fetch(migrated, campaigns) == [{"catching_up": False}]
        # Once something is in it, it is to be read; again, where its progress is taken away.
        await write(writer, 1, [], progress(0, is_cut=False), None)
        await writer.note_empty(1)
        for statement in ("SELECT 1", "DELETE FROM tally.sink_progress WHERE partition = 1"):
            await fetch(migrated, statement)
            assert await fetch(migrated, campaigns) == [{"catching_up": True}]
            assert [tuple(one.values()) for one in await fetch(migrated, cuts)] == [
                (0, 5, False),
                (1, 0, True),
            ]
        # So is one that still has what another reading of the logs has written.
        await writer.note_empty(1)
        await write(writer, 0, [], progress(6, 2, is_pruned=False), progress(5))
        assert await fetch(migrated, campaigns) == [{"catching_up": True}]
    finally:
        await database.close()


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
