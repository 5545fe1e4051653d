"""What commands print: tables for people, JSON for programs, errors in one line."""

import re
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn

import orjson
import typer
from aiokafka.errors import KafkaConnectionError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tally.streams.settings import load

Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]

NO_TERMINAL_WIDTH = 120
"""Columns where the output goes to a file or a pipe."""


CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, all but tab and newline: an id could set the clipboard, or turn a line around."""
UNESCAPED = re.compile(r"[\x7f-\x9f]")
"""What JSON writes as it is, and some terminals obey."""


def plain(text: str) -> str:
    """Return a text with the characters that a terminal would obey written out. Pure."""
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class PlainConsole(Console):
    """Prints texts as they are: no markup is read in them, and nothing in them commands the terminal.

    Ids, names and reasons come from events. In rich's markup `[/bold]` in a campaign's id is an error, and
    `[link=...]` a link.
    """

    def render_str(self, text: str, **more: Any) -> Text:
        """Return a text to be printed, for every string that is printed alone or in a table."""
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
    # They can only stand in strings, where this means the same.
    print(UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))  # noqa: T201 - standard output is for this


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table, as wide as it needs to be where the output is no terminal."""
    table = Table(title=title, box=None, header_style="bold", title_justify="left")
    for number, column in enumerate(columns):
        # What a row is about is never cut: a setting of which the end is missing is none.
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    target = console if console.is_terminal else PlainConsole(width=220)
    target.print(table)


def need_port(host: str, port: int, setting: str) -> None:
    """End with one line and code 2 where a port that is to be served on is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            fail(f"port {port} of {host} ({setting}) cannot be served on: {error.strerror}", code=2)


def in_words(error: BaseException) -> str:
    """Return an error of a command as one line; where a server is away, which setting says where it is."""
    if isinstance(error, KafkaConnectionError):
        return f"no broker answers at {load().kafka_bootstrap} (TALLY_KAFKA_BOOTSTRAP)"
    if isinstance(error, ConnectionRefusedError):
        return "Postgres does not answer where TALLY_POSTGRES_DSN says it is: connection refused"
    if isinstance(error, TimeoutError) and not str(error):
        return "timed out: no answer within the deadline"
    return f"{type(error).__name__}: {error}"
