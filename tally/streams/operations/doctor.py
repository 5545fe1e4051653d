"""Diagnosis: checks of servers, topics and database, and of what waits or is missing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncpg
from msgspec import Struct

from tally.deploy import migrate
from tally.schemas.bounds import BY_NAME, IDENTIFIER_LINKS, TEMPLATES_SHOWN
from tally.schemas.notices import UNITS
from tally.streams.operations import (
    beyond,
    dead_tuples,
    deployment,
    generation,
    incomplete,
    rights,
    topics,
    zones,
)
from tally.streams.operations.looks import SHOWN, Looks
from tally.streams.runtime.exit import describe
from tally.streams.settings import Settings

DEADLINE_SECONDS = 20.0
CUTS = """
SELECT count(*) AS partitions, count(*) FILTER (WHERE catching_up) AS catching_up,
    coalesce(sum(withheld), 0)::bigint AS withheld
FROM tally.cuts
"""
MANY_TEMPLATES = """
SELECT tenant, campaign, count(DISTINCT (template_name, template_language)) AS templates
FROM tally.counters
WHERE generation = $1 AND grain = 'template'
GROUP BY tenant, campaign HAVING count(DISTINCT (template_name, template_language)) > $2
ORDER BY templates DESC LIMIT $3
"""


class SomethingMissing(Exception):
    """Numbers are too low, and the loss is not acknowledged."""


class Finding(Struct, frozen=True):
    """The result of one check; `detail` says what was found, or what to do if it failed."""

    check: str
    ok: bool
    detail: str


async def examine(settings: Settings) -> list[Finding]:
    """Run every check; a failure does not stop the others."""
    looks = Looks(settings)
    checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("kafka", partial(_kafka, settings)),
        ("rights", partial(_rights, settings)),
        ("topics", partial(_topics, settings)),
        ("postgres", partial(_postgres, settings)),
        ("migrations", partial(_migrations, settings)),
        ("generation", partial(_generation, settings)),
        ("deployment", partial(_deployment, settings)),
        ("what Postgres shows", partial(_cuts, settings)),
        ("dead tuples in Postgres", partial(_dead_tuples, settings)),
        ("time zones", partial(_zones, settings)),
        ("campaigns with more templates than an answer shows", partial(_many_templates, settings)),
        ("messages by business number", partial(_messages, looks)),
        ("messages whose send is at another number", partial(_moved, looks)),
        ("customers by business number", partial(_customers, looks)),
        ("dead letters by reason", partial(_dead_letters, looks)),
        ("what is missing", partial(what_is_missing, looks)),
        ("beyond a bound", partial(_beyond, looks)),
    ]
    return [await _finding(name, check) for name, check in checks]


async def _finding(name: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, True, await check())
    except Exception as error:
        return Finding(name, False, describe(error))


async def _kafka(settings: Settings) -> str:
    states = await topics.states(settings)
    return (
        f"{settings.kafka_bootstrap} answers, {sum(s.partitions is not None for s in states)} of our topics"
    )


async def _rights(settings: Settings) -> str:
    await rights.check(settings, ["doctor"])
    return "those that this needs"


async def _topics(settings: Settings) -> str:
    topics.refuse(await topics.states(settings))
    return "all there, as exactness needs them"


async def _postgres(settings: Settings) -> str:
    connection = await _connect(settings)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def _connect(settings: Settings) -> Any:
    dsn = settings.postgres_dsn.get_secret_value()
    return await asyncpg.connect(dsn, timeout=DEADLINE_SECONDS, command_timeout=DEADLINE_SECONDS)


async def _migrations(settings: Settings) -> str:
    status = await asyncio.to_thread(migrate.status, settings.postgres_dsn.get_secret_value())
    if status.pending:
        raise migrate.MigrationError(f"{len(status.pending)} pending: run `tally migrate up`")
    return f"{len(status.applied)} applied, none pending"


async def _generation(settings: Settings) -> str:
    shown = await generation.shown(settings)
    if shown is not None and shown != settings.generation:
        raise generation.GenerationError(generation.advice(shown, settings.generation))
    return f"Postgres shows {shown or 'none yet'}, this is {settings.generation}"


async def _deployment(settings: Settings) -> str:
    of_brokers, of_database = await deployment.shown(settings)
    if of_brokers is not None and of_brokers != of_database:
        raise deployment.ForeignDatabase(of_brokers, of_database)
    return f"brokers and database belong together: {of_brokers or 'nothing is in Postgres yet'}"


async def _cuts(settings: Settings) -> str:
    """Say how many partitions are of one moment, and how much Postgres has refused."""
    connection = await _connect(settings)
    try:
        (found,) = await connection.fetch(CUTS)
    finally:
        await connection.close()
    return shown_cuts(found["partitions"], found["catching_up"], found["withheld"])


async def _dead_tuples(settings: Settings) -> str:
    connection = await _connect(settings)
    try:
        return dead_tuples.judged(*await dead_tuples.looked_up(connection))
    finally:
        await connection.close()


async def _zones(settings: Settings) -> str:
    connection = await _connect(settings)
    try:
        return zones.shown(await zones.differing(connection, datetime.now(UTC)))
    finally:
        await connection.close()


def shown_cuts(partitions: int, catching_up: int, withheld: int) -> str:
    """Return what is to be said of the view `tally.cuts`. Pure."""
    if not partitions:
        return "nothing yet"
    parts = [f"{partitions - catching_up} of {partitions} partitions are of one moment"]
    if catching_up:
        parts.append(f"{catching_up} catching up")
    if withheld:
        parts.append(f"{withheld} rows withheld (tally.withheld says why)")
    return ", ".join(parts)


async def _many_templates(settings: Settings) -> str:
    """Name campaigns with too many templates to show: mostly message texts in place of template names."""
    connection = await _connect(settings)
    try:
        found = await connection.fetch(MANY_TEMPLATES, settings.generation, TEMPLATES_SHOWN.most, SHOWN + 1)
    finally:
        await connection.close()
    shown = [f"{one['tenant']}/{one['campaign']}: {one['templates']}" for one in found[:SHOWN]]
    return ", ".join([*shown, *(["..."] if len(found) > SHOWN else [])]) or "none"


async def _messages(looks: Looks) -> str:
    return str(await looks.census())


async def _moved(looks: Looks) -> str:
    return str(await looks.moved())


async def _customers(looks: Looks) -> str:
    return str(await looks.crowds())


async def _dead_letters(looks: Looks) -> str:
    found = await looks.letters()
    counts = [f"{reason}: {count}" for reason, count in found.by_reason.most_common()]
    foreign = [f"and {found.foreign} records that are none"] if found.foreign else []
    return ", ".join([*counts, *foreign]) or "none"


async def what_is_missing(looks: Looks) -> str:
    """Return what is missing from the numbers. Raises SomethingMissing if some is not acknowledged."""
    lines = await looks.lines()
    shown = [_missing(line) for line in lines[:SHOWN]] + (["..."] if len(lines) > SHOWN else [])
    if any(line.count > line.acknowledged for line in lines):
        raise SomethingMissing("; ".join(shown) + " (see `tally incomplete list`)")
    return "; ".join(shown) or "nothing"


async def _beyond(looks: Looks) -> str:
    """Return how much lies beyond each bound, as far as it can be known."""
    crowds, letters = await looks.crowds(), await looks.letters()
    connection = await _connect(looks.settings)
    try:
        of_rows = await beyond.of_rows(connection, looks.settings.generation)
    finally:
        await connection.close()
    of_customers = {IDENTIFIER_LINKS.name: crowds.by_links}
    return beyond.line_of(
        {**letters.by_bound, **beyond.of_lines(await looks.lines()), **of_rows, **of_customers}
    )


def _missing(line: incomplete.Line) -> str:
    """Return a line without tenant or campaign: the output may be passed on."""
    bound = BY_NAME.get(line.kind)
    unit = UNITS.get(line.kind, "subjects")
    why = f", more than {bound.most:,} {bound.of}" if bound else ""
    open_count = line.count - line.acknowledged
    if not open_count:
        return f"{line.count} {unit} {line.kind}{why}, acknowledged"
    return f"{open_count} of {line.count} {unit} {line.kind}{why}"
