"""What the recount in SQL says of send results and webhooks."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import asyncpg

from tally.oracle.recount import begin
from tests.support.whatsapp_events import Event

Counters = dict[str, Any]

SQL = (files("tally.oracle") / "recount.sql").read_text()
SQL_OLD = (files("tally.oracle") / "recount_old.sql").read_text()
COLUMNS = ("topic", "kafka_partition", "kafka_offset", "body")
CAMPAIGNS = "SELECT * FROM recount.campaign_stats ORDER BY 1, 2"
TEMPLATES = "SELECT * FROM recount.campaign_template_stats ORDER BY 1, 2, 3, 4"
OLD_WAY = "SELECT * FROM recount.old_way"


class Recounted:
    """What the recount says, by campaign and by template."""

    def __init__(self, campaigns: list[Counters], templates: list[Counters], old_way: list[Counters]) -> None:
        self.campaigns = {row["campaign"]: row for row in campaigns}
        self.templates = {(row["campaign"], row["template_name"]): row for row in templates}
        self.old_way = {row["campaign"]: row for row in old_way}
        self.everything = (campaigns, templates)

    def __getitem__(self, campaign: str) -> Counters:
        return self.campaigns[campaign]


Recount = Callable[..., Recounted]


async def recounted(dsn: str, events: list[Event]) -> Recounted:
    """Count records in plain SQL."""
    connection = await asyncpg.connect(dsn, timeout=20, command_timeout=120)
    try:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await begin(connection)
        rows = [(topic, nth % 4, nth // 4, value) for nth, (topic, value) in enumerate(events)]
        await connection.copy_records_to_table("raw", schema_name="recount", records=rows, columns=COLUMNS)
        await connection.execute(SQL)
        await connection.execute(SQL_OLD)
        campaigns, templates, old_way = [
            [dict(row) for row in await connection.fetch(query)] for query in (CAMPAIGNS, TEMPLATES, OLD_WAY)
        ]
    finally:
        await connection.close()
    return Recounted(campaigns, templates, old_way)


def pick(counters: Counters, *names: str) -> tuple[Any, ...]:
    """Return the counters of these names."""
    return tuple(counters[name] for name in names)
