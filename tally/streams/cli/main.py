"""The `tally` command: registers one module for each subcommand."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from tally.streams.cli import (
    ami,
    audit,
    config,
    dead_letters,
    demo,
    deployment,
    doctor,
    down,
    generation,
    incomplete,
    migrate,
    numbers,
    publish,
    topics,
    up,
    worker,
)
from tally.streams.cli.output import fail
from tally.streams.settings import SettingsError

app = typer.Typer(
    name="tally",
    help="Live, exact counters for WhatsApp and voice campaigns.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
# Each help fits one line of 80 columns; `tally COMMAND --help` has the whole text.
app.command("demo", short_help="run the main job on real servers, and check every number")(demo.demo)
app.command("up", short_help="keep Kafka, Postgres and a worker running")(up.up)
app.command("down", short_help="stop the embedded servers of a folder")(down.down)
app.command("worker", short_help="run a worker: route, fold, flush and view")(worker.worker)
app.command("ami", short_help="bring the events of Asterisk PBXs to Kafka")(ami.ami)
app.add_typer(migrate.app, name="migrate", short_help="apply or undo migrations of Postgres")
app.add_typer(topics.app, name="topics", short_help="declare topics, and compare what there is")
app.add_typer(generation.app, name="generation", short_help="show or move the generation that readers see")
app.add_typer(deployment.app, name="deployment", short_help="show which database belongs to the brokers")
app.command("config", short_help="show every setting and its meaning")(config.config)
app.add_typer(numbers.app, name="numbers", short_help="say whose a business number is")
app.command("publish", short_help="publish files as raw events, byte for byte")(publish.publish)
app.add_typer(dead_letters.app, name="dead-letters", short_help="list what could not be counted, and why")
app.add_typer(incomplete.app, name="incomplete", short_help="list what is missing, and acknowledge it")
app.command("doctor", short_help="check servers and topics, and what is waiting")(doctor.doctor)
app.command("audit", short_help="recount everything, and compare")(audit.audit)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tally {version('tally')}")
        raise typer.Exit


@app.callback()
def _tally(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Settings are environment variables with the prefix TALLY_: see `tally config`.

    Exit codes: 0 all is well, 1 something was found or went wrong, 2 the command or the settings are wrong.
    """


def main() -> None:
    """Run the command line; report a wrong setting in one line with exit code 2."""
    try:
        app()
    except SettingsError as error:
        fail(str(error), code=2)
    except BrokenPipeError:
        sys.exit(1)
