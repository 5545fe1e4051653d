"""The `tally` command: one file a command, and what they all share."""

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
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("down")(down.down)
app.command("worker")(worker.worker)
app.command("ami")(ami.ami)
app.add_typer(migrate.app, name="migrate")
app.add_typer(topics.app, name="topics")
app.add_typer(generation.app, name="generation")
app.add_typer(deployment.app, name="deployment")
app.command("config")(config.config)
app.add_typer(numbers.app, name="numbers")
app.command("publish")(publish.publish)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(incomplete.app, name="incomplete")
app.command("doctor")(doctor.doctor)
app.command("audit")(audit.audit)


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
    """Run the command line; a wrong setting is one line and exit code 2."""
    try:
        app()
    except SettingsError as error:
        fail(str(error), code=2)
    except BrokenPipeError:
        sys.exit(1)
