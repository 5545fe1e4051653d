"""`tally audit`: whether the numbers agree with their sources."""

import asyncio
import signal
from typing import Annotated

import typer
from msgspec import to_builtins

from tally.agents.audit.drift import Drift
from tally.streams.audit.examine import AWAY, Audit, examine
from tally.streams.audit.process import audit_parts
from tally.streams.audit.view import NoAnswer, address
from tally.streams.cli.output import Json, console, fail, in_words, need_port, print_json, print_table
from tally.streams.runtime import logs
from tally.streams.runtime.exposure import keep_private
from tally.streams.runtime.run import run_worker
from tally.streams.settings import load, variable

SHOWN = 50
NOT_MADE = 2
COLUMNS = (
    "counted from",
    "tenant",
    "campaign",
    "template",
    "cell",
    "partition",
    "counter",
    "held",
    "counted",
)


def audit(
    raw: Annotated[
        bool, typer.Option("--raw", help="count the raw topics again too; nothing may come in meanwhile")
    ] = False,
    view: Annotated[
        str, typer.Option(metavar="URL", help="compare with what this worker's read API answers too")
    ] = "",
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=1, help="audit again after so long, and serve metrics of what is found"
        ),
    ] = None,
    campaign: Annotated[str, typer.Option(help="show this campaign only")] = "",
    json: Json = False,
) -> None:
    """Recount all rows from their states, and compare with Postgres and, if asked, view and raw topics.

    Works on copies in a temporary folder; workers may run. Exit code 1 if any counter differs, 2 if the audit
    could not be made. With --every it goes on until it is asked to stop, and ends with 0.
    """
    keep_private()
    if every is None:
        _leave_when_asked()
        _once(raw, view, campaign, json)
        return
    if campaign or json:
        fail("--every publishes metrics: --campaign and --json do not go with it", code=NOT_MADE)
    try:
        view = view and address(view)
    except NoAnswer as error:
        fail(str(error), code=NOT_MADE)
    settings = load()
    need_port(settings.metrics_host, settings.audit_metrics_port, variable("audit_metrics_port"))
    logs.configure(settings)
    run_worker(lambda: audit_parts(settings, raw, view, every))


def _leave_when_asked() -> None:
    """Exit in order on SIGTERM to remove the copies; Python's default handler would leave them."""

    def leave(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)


def _once(raw: bool, view: str, campaign: str, json: bool) -> None:
    try:
        found = asyncio.run(examine(load(), raw, view))
    except AWAY as error:
        fail(in_words(error), code=NOT_MADE)
    found.drift = [one for one in found.drift if campaign in ("", one.row.campaign)]
    if json:
        print_json(to_builtins(found))
    else:
        _print(found)
    if found.drift:
        raise typer.Exit(1)


def _print(found: Audit) -> None:
    if found.drift:
        print_table(COLUMNS, [_line(one) for one in found.drift[:SHOWN]])
    if len(found.drift) > SHOWN:
        console.print(f"and {len(found.drift) - SHOWN} more: --json shows all")
    late = f"{found.behind} rows not in Postgres yet"
    if "view" in found.compared:
        late += f", {found.view_behind} not in the view yet"
    console.print(
        f"{found.rows} rows, {len(found.drift)} counters differ; {late}; raw topics: {found.raw}",
        highlight=False,
    )


def _line(one: Drift) -> tuple[str, ...]:
    template = one.row.template
    return (
        one.source,
        one.row.tenant,
        one.row.campaign,
        "*" if template is None else f"{template.name} {template.language}".rstrip(),
        one.cell,
        "all" if one.partition is None else str(one.partition),
        one.counter,
        str(one.held),
        str(one.counted),
    )
