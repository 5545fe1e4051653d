"""The `tally` command: registers one module for each subcommand."""

import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, NamedTuple

import typer

from tally.streams.cli.output import fail
from tally.streams.settings import SettingsError


class Command(NamedTuple):
    """A command, or a group of them; its module has the same name."""

    name: str
    short_help: str
    """Fits one line of 80 columns; `tally COMMAND --help` has the whole text."""


COMMANDS = (
    Command("demo", "run the main job on real servers, and check every number"),
    Command("up", "keep Kafka, Postgres and a worker running"),
    Command("down", "stop the embedded servers of a folder"),
    Command("worker", "run a worker: route, fold, sink and view"),
    Command("gateway", "take webhooks and send results over HTTP"),
    Command("ami", "bring the events of Asterisk PBXs to Kafka"),
    Command("migrate", "apply or undo migrations of Postgres"),
    Command("topics", "declare topics, and compare what there is"),
    Command("generation", "show or move the generation that readers see"),
    Command("deployment", "show which database belongs to the brokers"),
    Command("config", "show every setting and its meaning"),
    Command("numbers", "say whose a business number is"),
    Command("keys", "make and revoke keys of the read API and the gateway"),
    Command("publish", "publish files as raw events, byte for byte"),
    Command("check", "say what raw events of a file would become"),
    Command("dead-letters", "what could not be counted, and why; replay it"),
    Command("incomplete", "list what is missing, and acknowledge it"),
    Command("rates", "check rate cards, and load them"),
    Command("watch", "print how a campaign goes, line by line"),
    Command("explain", "print who is behind a number of a campaign"),
    Command("doctor", "check servers and topics, and what is waiting"),
    Command("audit", "recount everything, and compare"),
)


def application(commands: Iterable[Command] = COMMANDS) -> typer.Typer:
    """Return the command line with these commands. Only their modules are imported.

    All of them take a second of the start of each worker and of each of its processes' parents.
    """
    app = typer.Typer(
        name="tally",
        help="Live, exact counters for WhatsApp and voice campaigns.",
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_tally)
    for one in commands:
        name = one.name.replace("-", "_")
        module = import_module(f"tally.streams.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=one.name, short_help=one.short_help)
        else:
            app.command(one.name, short_help=one.short_help)(getattr(module, name))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tally {version('tally')}")
        raise typer.Exit


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
    named = [one for one in COMMANDS if one.name in sys.argv[1:2]]
    try:
        application(named or COMMANDS)()
    except SettingsError as error:
        fail(str(error), code=2)
    except BrokenPipeError:
        sys.exit(1)
