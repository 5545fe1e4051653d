"""`tally audit`: whether the numbers are what they are counted from."""

import asyncio
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError
from msgspec import to_builtins

from tally.streams.audit.examine import Audit, examine
from tally.streams.cli.output import Json, console, fail, print_json, print_table
from tally.streams.settings import load

SHOWN = 50


def audit(
    raw: Annotated[
        bool, typer.Option("--raw", help="count the raw topics again too; nothing may come in meanwhile")
    ] = False,
    campaign: Annotated[str, typer.Option(help="show this campaign only")] = "",
    json: Json = False,
) -> None:
    """Recount all rows from their states, and compare with Postgres and, if asked, with the raw topics.

    Works on copies in a temporary folder; workers may run. Exit code 1 if any counter differs.
    """
    try:
        found = asyncio.run(examine(load(), raw))
    except (OSError, TimeoutError, KafkaError, asyncpg.PostgresError) as error:
        fail(f"{type(error).__name__}: {error}")
    found.drift = [one for one in found.drift if campaign in ("", one.row.campaign)]
    if json:
        print_json(to_builtins(found))
    else:
        _print(found)
    if found.drift:
        raise typer.Exit(1)


def _print(found: Audit) -> None:
    if found.drift:
        print_table(
            ("counted from", "tenant", "campaign", "template", "partition", "counter", "row", "counted"),
            [
                (
                    one.source,
                    one.row.tenant,
                    one.row.campaign,
                    one.row.template.name if one.row.template else "*",
                    str(one.partition),
                    one.counter,
                    str(one.held),
                    str(one.counted),
                )
                for one in found.drift[:SHOWN]
            ],
        )
    console.print(
        f"{found.rows} rows, {len(found.drift)} counters differ; {found.behind} rows not in Postgres yet;"
        f" raw topics: {found.raw}",
        highlight=False,
    )
