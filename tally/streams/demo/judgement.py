"""Judging a run: what the view and Postgres say beside a recount of the raw topics in plain SQL."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from tally.streams.demo.answers import Answers
from tally.streams.demo.comparison import Difference, Drift, differences, drift
from tally.streams.demo.recount import Row, connect, copy_raw, fetch, recount
from tally.streams.settings import Settings

FLUSHED_SECONDS = 20.0
"""How long Postgres may lag behind the view before a difference is one."""
POLL_SECONDS = 0.25
KEY_COLUMNS = ("tenant", "campaign", "template_name", "template_language")

Table = dict[tuple[str, ...], Mapping[str, Any]]


class Judgement(Struct, frozen=True):
    """All counts of one moment, and where they differ."""

    raw_events: int
    recounted: Table
    view: Table
    view_templates: Table
    postgres: Table
    old: list[Row]
    in_view: list[Difference]
    in_postgres: list[Difference]

    @property
    def drift(self) -> Drift:
        """What the view has lost and doubled."""
        return drift(self.in_view)

    @property
    def is_exact(self) -> bool:
        """Whether view, Postgres and recount agree in everything."""
        return not self.in_view and not self.in_postgres


async def judge(settings: Settings, answers: Answers) -> Judgement:
    """Recount everything that the raw topics hold, and compare. Nothing may be published meanwhile."""
    connection = await connect(settings)
    try:
        raw_events = await copy_raw(settings, connection)
        await recount(connection)
        totals = _keyed(await fetch(connection, "recount.campaign_stats"))
        templates = _keyed(await fetch(connection, "recount.campaign_template_stats"))
        old = await fetch(connection, "recount.old_way")
        view, view_templates = await _view(answers, {key[0] for key in totals})
        in_postgres, postgres = await _flushed(connection, totals, templates)
    finally:
        await connection.close()
    in_view = differences(totals, view) + differences(templates, view_templates)
    return Judgement(raw_events, totals, view, view_templates, postgres, old, in_view, in_postgres)


async def _view(answers: Answers, tenants: set[str]) -> tuple[Table, Table]:
    totals: Table = {}
    templates: Table = {}
    for tenant in sorted(tenants):
        for listed in await answers.campaigns(tenant):
            name = listed["campaign"]
            totals[tenant, name] = listed["totals"]
            for part in (await answers.get(f"/v1/tenants/{tenant}/campaigns/{quote(name, safe='')}"))[
                "templates"
            ]:
                template = part["template"]
                key = (tenant, name, template["name"], template["language"])
                templates[key] = dict(zip(KEY_COLUMNS, key, strict=True)) | part["counters"]
    return totals, templates


async def _flushed(connection: Any, totals: Table, templates: Table) -> tuple[list[Difference], Table]:
    """Give the flush its time, then compare what Postgres holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + FLUSHED_SECONDS
    while True:
        held = _keyed(await fetch(connection, "tally.campaign_stats"))
        held_templates = _keyed(await fetch(connection, "tally.campaign_template_stats"))
        found = differences(totals, held) + differences(templates, held_templates)
        if not found or loop.time() > deadline:
            return found, held
        await asyncio.sleep(POLL_SECONDS)


def _keyed(rows: Sequence[Mapping[str, Any]]) -> Table:
    return {tuple(row[name] for name in KEY_COLUMNS if name in row): row for row in rows}
