"""Output of commands: tables for people, JSON for programs, errors in one line."""

import asyncio
import re
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn

import click
import orjson
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tally.streams.operations.rights import explained
from tally.streams.operations.rights_needed import command_of
from tally.streams.operations.topics import TopicsError
from tally.streams.runtime.exit import Unavailable, describe
from tally.streams.settings import load

Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]

NO_TERMINAL_WIDTH = 120
"""Columns if the output goes to a file or a pipe."""


CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters except tab and newline: an id could set a terminal's clipboard or reverse a line."""
UNESCAPED = re.compile(r"[\x7f-\x9f]")
"""Characters that JSON does not escape and some terminals obey."""


def plain(text: str) -> str:
    """Return a text with all terminal control characters escaped. Pure."""
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class PlainConsole(Console):
    """A console that prints texts literally: it reads no markup and escapes control characters.

    Ids, names and reasons come from events. As rich markup, `[/bold]` in a campaign's id would be an error,
    and `[link=...]` a link.
    """

    def render_str(self, text: str, **more: Any) -> Text:
        """Return the text to print; rich calls this for every string, alone or in a table."""
        return super().render_str(plain(text), **more | {"markup": False, "emoji": False})


def _console(stderr: bool = False) -> Console:
    found = PlainConsole(stderr=stderr)
    return found if found.is_terminal else PlainConsole(stderr=stderr, width=NO_TERMINAL_WIDTH)


console = _console()
errors = _console(stderr=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error in one line, however long it is, and exit."""
    errors.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    # These characters can occur only in strings, where the escape means the same.
    print(UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))  # noqa: T201 - standard output is for this


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table; if the output is not a terminal, as wide as it needs to be."""
    table = Table(title=title, box=None, header_style="bold", title_justify="left")
    for number, column in enumerate(columns):
        # The first column is never cut: a setting whose end is missing is useless.
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    target = console if console.is_terminal else PlainConsole(width=220)
    target.print(table)


def need_port(host: str, port: int, setting: str) -> None:
    """Exit with one line and code 2 if the port to serve on is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            fail(f"port {port} of {host} ({setting}) cannot be served on: {error.strerror}", code=2)


def in_words(error: Exception) -> str:
    """Return an error of a command as one line; if a server lets nobody in, or refuses a right, say which."""
    if isinstance(error, (KafkaError, TopicsError)):
        error = asyncio.run(explained(load(), _command(), error))
    if isinstance(error, Unavailable):
        return str(error)
    if isinstance(error, ConnectionRefusedError):
        return "Postgres does not answer where TALLY_POSTGRES_DSN says it is: connection refused"
    if isinstance(error, TimeoutError) and not str(error):
        return "timed out: no answer within the deadline"
    return describe(error)


def _command() -> str | None:
    """Return the running command as the list of rights names it."""
    context = click.get_current_context(silent=True)
    if context is None:
        return None
    path = context.command_path.partition(" ")[2]
    return command_of(path, [name for name, given in context.params.items() if given is True])
