"""`tally incomplete`: what is missing from the numbers, and its acknowledgement."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError

from tally.schemas.notices import OF_TOPICS, UNITS
from tally.streams.cli.output import Json, console, fail, in_words, print_json, print_table
from tally.streams.operations import incomplete
from tally.streams.operations.incomplete import Line, NotMissing
from tally.streams.settings import load

app = typer.Typer(help="List what is missing from the numbers, and acknowledge it.", no_args_is_help=True)

MAX_NOTE = 500
T = TypeVar("T")


@app.command("list")
def list_lines(json: Json = False) -> None:
    """List what is missing: how much of what, whose it is, since when, and what was acknowledged."""
    lines = _run(incomplete.read(load()))
    if json:
        print_json([_described(line) for line in lines])
        return
    print_table(
        ("id", "kind", "scope", "count", "of", "since", "acknowledged", "note"),
        [[str(value or "") for value in _described(line).values()] for line in lines],
    )
    open_lines = sum(line.count > line.acknowledged for line in lines)
    console.print(f"{len(lines)} lines, {open_lines} not acknowledged", highlight=False)


@app.command()
def acknowledge(
    name: Annotated[str, typer.Argument(metavar="ID", help="as listed")],
    note: Annotated[str, typer.Option(help="what happened, for whoever looks later; no personal data")],
) -> None:
    """Let what is missing now alarm no more: receipts say `incomplete_acknowledged`, and are never live.

    What goes missing later is `incomplete` again. Exit code 1 where nothing is missing under this id.
    """
    if not note.strip() or len(note) > MAX_NOTE:
        fail(f"--note must hold 1 to {MAX_NOTE} characters", code=2)
    line = _run(incomplete.acknowledge(load(), name, note.strip()))
    console.print(
        f"acknowledged {line.count} {UNITS.get(line.kind, 'subjects')} of {line.name};"
        " receipts show it once a worker has folded it",
        highlight=False,
        markup=False,
    )


def _run(asked: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(asked)
    except (NotMissing, KafkaError, TimeoutError) as error:
        fail(str(error) if isinstance(error, NotMissing) else in_words(error))


def _described(line: Line) -> dict[str, str | int | None]:
    return {
        "id": line.name,
        "kind": line.kind,
        "scope": _scope(line),
        "count": line.count,
        "of": UNITS.get(line.kind, "subjects"),
        "since": _time(line.since_ms),
        "acknowledged": line.acknowledged,
        "note": line.note,
    }


def _scope(line: Line) -> str:
    first, second = line.scope
    if line.kind in OF_TOPICS:
        return f"{first}[{second}]"
    if not first:
        return "everybody"
    return f"tenant {first}" + (f", campaign {second}" if second else "")


def _time(at_ms: int) -> str | None:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds") if at_ms else None
