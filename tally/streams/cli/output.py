"""What commands print: tables for people, JSON for programs, errors in one line."""

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn

import orjson
import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]

NO_TERMINAL_WIDTH = 120
"""Columns where the output goes to a file or a pipe."""


def _console(stderr: bool = False) -> Console:
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=NO_TERMINAL_WIDTH)


console = _console()
errors = _console(stderr=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error and exit."""
    errors.print(message, style="red", markup=False, highlight=False)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())  # noqa: T201 - standard output is for this


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table, as wide as it needs to be where the output is no terminal."""
    table = Table(*columns, title=title, box=None, header_style="bold", title_justify="left")
    for row in rows:
        table.add_row(*row)
    target = console if console.is_terminal else Console(width=220)
    target.print(table)
