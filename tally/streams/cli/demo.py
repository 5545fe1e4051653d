"""`tally demo`: the main job end to end, compared with a recount in plain SQL."""

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from tally.deploy import migrate
from tally.deploy.local import LocalServerError
from tally.oracle.api import NotYet
from tally.oracle.comparison import summed
from tally.oracle.judgement import Judgement, totals
from tally.streams.cli.output import console, fail, in_words
from tally.streams.demo.run import Demo, log_file
from tally.streams.dev.database import fresh_database
from tally.streams.dev.free_port import free_port
from tally.streams.dev.gateway import GATEWAY, new_app
from tally.streams.dev.key_file import NAME as KEY_FILE
from tally.streams.dev.key_file import key_in, signing
from tally.streams.dev.stack import HalfAStack, running
from tally.streams.dev.supervisor import Supervisor
from tally.streams.operations import topics
from tally.streams.runtime.exposure import private_folder
from tally.streams.settings import load, variable


def demo(
    contacts: Annotated[int, typer.Option(min=1, help="contacts in each of the eight campaigns")] = 400,
    seed: Annotated[int, typer.Option(help="the same seed gives the same events")] = 1,
    tables: Annotated[
        bool, typer.Option("--tables", help="print funnels, calls, operators and every counter as well")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep/--stop", help="keep everything running at the end, until Ctrl-C")
    ] = False,
    folder: Annotated[Path, typer.Option(help="where the embedded servers keep their data")] = Path(
        ".tally/demo"
    ),
) -> None:
    """Run the main job on real servers: publish campaigns, kill the worker, compare all counts.

    Starts Kafka and Postgres (embedded, unless TALLY_KAFKA_BOOTSTRAP and TALLY_POSTGRES_DSN name others),
    publishes seeded campaigns made from real webhook bodies in a burst, kills the worker with SIGKILL in the
    middle of it, and publishes one more campaign at 80 sends a second. Then it compares view, Postgres, a
    recount by plain SQL and the former way of counting. Exit code 1 if anything differs.
    """
    try:
        are_exact = asyncio.run(_demo(folder, contacts, seed, tables, keep))
    except (LocalServerError, HalfAStack, NotYet, migrate.MigrationError, topics.TopicsError) as error:
        fail(in_words(error))
    except KeyboardInterrupt:
        fail("stopped", code=1)
    if not are_exact:
        raise typer.Exit(1)


async def _demo(folder: Path, contacts: int, seed: int, tables: bool, keep: bool) -> bool:
    name = f"demo-{int(time.time())}-"
    state = private_folder(folder) / "state"
    # Removes only the copies of former demos: the folder may hold other files too.
    for former in state.glob("demo-*-tally-g*"):
        shutil.rmtree(former)
    more = {
        variable("topic_prefix"): name,
        variable("state_folder"): str(state),
        variable("web_port"): str(free_port(load().web_port)),
        variable("metrics_port"): str(free_port(load().metrics_port)),
        variable("ledger"): "true",
        **signing(),
    }
    with running(folder, _say, **more) as stack:
        async with fresh_database(stack, name) as environment:
            return await _run(environment, folder, contacts, seed, tables, keep)


async def _run(
    environment: dict[str, str], folder: Path, contacts: int, seed: int, tables: bool, keep: bool
) -> bool:
    """Return whether everything was exact, and every row the sum of its lines."""
    settings = load({**os.environ, **environment})
    await asyncio.to_thread(migrate.up, settings.postgres_dsn.get_secret_value())
    await topics.declare(settings)
    # Each demo has topics of its own, so that a former one's key opens nothing.
    (folder / KEY_FILE).unlink(missing_ok=True)
    key = await key_in(folder, settings)
    log = log_file(folder, "worker")
    app = new_app()
    environment = {**environment, **app.environment()}
    settings = load({**os.environ, **environment})
    supervisor = Supervisor(environment, log, _say)
    gateway = Supervisor(environment, log_file(folder, "gateway"), _say, GATEWAY, "gateway")
    supervising = asyncio.gather(supervisor.run(), gateway.run())
    _say(f"worker and gateway start; their logs are {log} and gateway.log beside it")
    try:
        run = Demo(settings, key.text, app, supervisor, console, seed, shows_tables=tables)
        verdict = await run.run(contacts)
        _print_verdict(verdict)
        ledger = await run.ledger()
        if keep:
            _say(
                f'curl -s -H "Authorization: Bearer $(cat {folder / KEY_FILE})"'
                f" {run.url}/v1/tenants/tenant-0/campaigns"
            )
            _say(f"shows campaigns; pages ask for the key in {folder / KEY_FILE}; Ctrl-C stops everything")
            _say(run.page)
            await supervising
        else:
            _say(f"everything stops now; with --keep it stays, and a campaign's page is {run.page}")
        return verdict.is_exact and ledger.sums_are_equal
    finally:
        await asyncio.gather(supervisor.stop(), gateway.stop())
        await supervising


def _print_verdict(verdict: Judgement) -> None:
    deviation = verdict.deviation
    counters = len(summed(totals(verdict.recounted)))
    console.print(
        f"lost {deviation.lost}, doubled {deviation.doubled}: {counters} counters and all maps of"
        f" {len(totals(verdict.recounted))} campaigns, their templates and operators;"
        f" of {verdict.cells} counters by quarter hour, number and market {len(verdict.in_cells)} differ",
        style="bold green" if verdict.is_exact else "bold red",
        highlight=False,
    )


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False)
