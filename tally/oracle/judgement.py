"""The judgement of a run: view and Postgres compared with a recount of the raw topics in plain SQL."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from tally.oracle.api import Answers
from tally.oracle.comparison import CAMPAIGN_PARTS, SAID, Deviation, Difference, deviation, differences
from tally.oracle.recount import (
    RawTopics,
    Row,
    connect,
    copy_raw,
    count_of_cells,
    differing_cells,
    fetch,
    recount,
    recount_cells,
)
from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.schemas.counters import API_ORDER

ARRIVED_SECONDS = 20.0
"""How long Postgres may lag behind the view before a difference counts."""
POLL_SECONDS = 0.25
OPERATORS = "(operators)"
"""The campaign in the key of an operator's row, which has none."""
KEY_COLUMNS = ("tenant", "campaign", "template_name", "template_language")

Table = dict[tuple[str, ...], Mapping[str, Any]]


class Judgement(Struct, frozen=True):
    """All counts of one moment, and where they differ."""

    raw_events: int
    recounted: Table
    view: Table
    postgres: Table
    old: list[Row]
    in_view: list[Difference]
    in_postgres: list[Difference]
    cells: int = 0
    """How many counters of cells were recounted; 0 where cells were not asked for."""
    in_cells: list[Difference] = []
    """Where the cells in Postgres differ."""

    @property
    def deviation(self) -> Deviation:
        """How much the view has lost and doubled."""
        return deviation(self.in_view)

    @property
    def is_exact(self) -> bool:
        """Whether view, Postgres and recount agree on everything."""
        return not self.in_view and not self.in_postgres and not self.in_cells


async def judge(dsn: str, raw: RawTopics, answers: Answers, by_cell: bool) -> Judgement:
    """Recount all raw topics in a database, and compare the result with the view and with its counters.

    By cell it also recounts what stands in `tally.cells` and `tally.activity`, which takes as long again. No
    producer may publish meanwhile.
    """
    connection = await connect(dsn)
    try:
        raw_events = await copy_raw(raw, connection)
        await recount(connection)
        recounted = await recounted_tables(connection)
        old = await fetch(connection, "recount.old_way")
        view = await view_table(answers, {key[0] for key in recounted})
        in_postgres, postgres = await postgres_table(connection, recounted)
        cells, in_cells = await cells_judged(connection) if by_cell else (0, [])
    finally:
        await connection.close()
    in_view = differences(as_shown(recounted), view)
    return Judgement(raw_events, recounted, view, postgres, old, in_view, in_postgres, cells, in_cells)


async def cells_judged(connection: Any) -> tuple[int, list[Difference]]:
    """Recount by cell; return how many counters of cells there are, and where those in Postgres differ.

    Waits for them as for rows.
    """
    await recount_cells(connection)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ARRIVED_SECONDS
    while True:
        found = await differing_cells(connection)
        if not found or loop.time() > deadline:
            break
        await asyncio.sleep(POLL_SECONDS)
    differing = [
        Difference(tuple(row["cell"]), row["counter"], row["recounted"], row["found"]) for row in found
    ]
    return await count_of_cells(connection), differing


async def recounted_tables(connection: Any) -> Table:
    """Return the recounted rows of campaigns, templates and operators."""
    found = _keyed(await fetch(connection, "recount.campaign_stats"))
    found |= _keyed(await fetch(connection, "recount.campaign_template_stats"))
    for table in ("recount.call_stats", "recount.call_template_stats"):
        for key, row in _keyed(await fetch(connection, table)).items():
            found[key] = {**found.get(key, {}), **row}
    return found | _operators(await fetch(connection, "recount.operator_stats"))


async def view_table(answers: Answers, tenants: set[str]) -> Table:
    """Return the rows of tenants' campaigns, templates and operators in the read API's answers."""
    found: Table = {}
    for tenant in sorted(tenants):
        for listed in await answers.campaigns(tenant):
            name = listed["campaign"]
            found[tenant, name] = {said: listed[said] for said in SAID} | listed["totals"]
            for part in (await answers.get(f"/v1/tenants/{tenant}/campaigns/{quote(name, safe='')}"))[
                "templates"
            ]:
                template = part["template"]
                key = (tenant, name, template["name"], template["language"])
                found[key] = dict(zip(KEY_COLUMNS, key, strict=True)) | part["counters"]
        operators = await answers.operators(tenant)
        found |= _operators(
            [{"tenant": tenant, **_without_queues(one), **one["counts"]} for one in operators]
        )
    return found


def as_shown(recounted: Table) -> Table:
    """Return a recount without the templates that an answer only adds up, if a campaign has too many."""
    names: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for key, row in recounted.items():
        if len(key) > CAMPAIGN_PARTS and key[1] != OPERATORS and any(row.get(name) for name in API_ORDER):
            names.setdefault(key[:CAMPAIGN_PARTS], []).append(key)
    added_up = {key for keys in names.values() for key in sorted(keys)[TEMPLATES_SHOWN.most :]}
    return {key: row for key, row in recounted.items() if key not in added_up}


async def postgres_table(connection: Any, recounted: Table) -> tuple[list[Difference], Table]:
    """Wait until Postgres equals the recount or ARRIVED_SECONDS pass; return differences and rows."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ARRIVED_SECONDS
    while True:
        held = _keyed(await fetch(connection, "tally.campaign_stats"))
        held |= _keyed(await fetch(connection, "tally.campaign_template_stats"))
        held |= _operators(await fetch(connection, "tally.operator_stats"))
        found = differences(recounted, held)
        if not found or loop.time() > deadline:
            return found, held
        await asyncio.sleep(POLL_SECONDS)


def _without_queues(operator: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an operator without its queues, which differ from the campaigns' counter `queues`."""
    return {name: value for name, value in operator.items() if name != "queues"}


def _operators(rows: Sequence[Mapping[str, Any]]) -> Table:
    return {(row["tenant"], OPERATORS, row["pbx"], row["operator"]): row for row in rows}


def totals(table: Table) -> list[Mapping[str, Any]]:
    """Return the rows of whole campaigns."""
    return [row for key, row in table.items() if len(key) == CAMPAIGN_PARTS]


def templates(table: Table) -> list[Mapping[str, Any]]:
    """Return the rows of templates, in order."""
    return [table[key] for key in sorted(table) if len(key) > CAMPAIGN_PARTS and key[1] != OPERATORS]


def operators(table: Table) -> list[Mapping[str, Any]]:
    """Return the rows of operators, in order."""
    return [table[key] for key in sorted(table) if key[1] == OPERATORS]


def _keyed(rows: Sequence[Mapping[str, Any]]) -> Table:
    return {tuple(row[name] for name in KEY_COLUMNS if name in row): row for row in rows}
