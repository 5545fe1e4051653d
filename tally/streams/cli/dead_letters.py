"""`tally dead-letters`: the records that could not be counted, with their original bytes."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError

from tally.schemas.errors import REASONS
from tally.streams.cli.output import Json, console, fail, in_words, print_json, print_table
from tally.streams.operations import dead_letters
from tally.streams.operations.dead_letters import StoredDeadLetter
from tally.streams.settings import load

app = typer.Typer(help="List what could not be counted, and show its original bytes.", no_args_is_help=True)


Found = TypeVar("Found")


def _asked(question: Coroutine[Any, Any, Found]) -> Found:
    try:
        return asyncio.run(question)
    except (KafkaError, TimeoutError) as error:
        fail(in_words(error))


@app.command("list")
def list_letters(
    reason: Annotated[str, typer.Option(help="only this reason")] = "",
    limit: Annotated[int, typer.Option(min=1, help="the newest so many")] = 100,
    json: Json = False,
) -> None:
    """List dead letters, newest last: where each came from and why it could not be counted."""
    if reason and reason not in REASONS:
        fail(f"no such reason; there are: {', '.join(REASONS)}", code=2)
    found = _asked(dead_letters.summary(load(), reason, limit))
    if json:
        print_json([_described(letter) for letter in found.newest])
        return
    print_table(
        ("origin", "reason", "at", "bytes", "detail"),
        [
            (letter.origin, letter.reason, _time(letter.at_ms), str(letter.size_bytes), letter.detail)
            for letter in found.newest
        ],
    )
    counts = ", ".join(f"{name} {count}" for name, count in found.by_reason.most_common())
    foreign = f"; {found.foreign} records of the topic are none" if found.foreign else ""
    console.print(
        f"{found.by_reason.total()} dead letters{': ' + counts if counts else ''}{foreign}", highlight=False
    )


@app.command()
def show(
    origin: Annotated[str, typer.Argument(help="topic/partition/offset, as listed")],
    raw: Annotated[
        bool, typer.Option("--raw", help="print only the original bytes, to a file or pipe")
    ] = False,
    json: Json = False,
) -> None:
    """Show one dead letter with its original bytes, or what is kept of them. Exit code 1 if there is none."""
    if raw and sys.stdout.isatty():
        fail("the original bytes could command this terminal: send them to a file or a pipe", code=2)
    try:
        letter = _asked(dead_letters.find(load(), origin))
    except ValueError as error:
        fail(str(error), code=2)
    if letter is None:
        fail(f"no dead letter of {origin}")
    if raw:
        sys.stdout.buffer.write(letter.value)
    elif json:
        print_json(_described(letter) | {"value": letter.value.decode(errors="backslashreplace")})
    else:
        for name, value in _described(letter).items():
            console.print(f"{name:7} {value}", highlight=False)
        console.print(letter.value.decode(errors="backslashreplace"), highlight=False)


def _described(letter: StoredDeadLetter) -> dict[str, str | int]:
    return {
        "origin": letter.origin,
        "reason": letter.reason,
        "detail": letter.detail,
        "at": _time(letter.at_ms),
        "bytes": letter.size_bytes,
        **({"sha256": letter.sha256} if letter.sha256 else {}),
    }


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
