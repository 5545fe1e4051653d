"""`tally dead-letters`: what could not be counted, with its original bytes."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from tally.schemas.errors import REASONS
from tally.streams import dead_letters
from tally.streams.cli.output import Json, console, fail, print_json, print_table
from tally.streams.dead_letters import DeadLetter
from tally.streams.settings import load

app = typer.Typer(help="List what could not be counted, and show its original bytes.", no_args_is_help=True)


def _read() -> list[DeadLetter]:
    settings = load()
    try:
        return asyncio.run(dead_letters.read(settings))
    except (KafkaError, TimeoutError) as error:
        fail(f"{type(error).__name__}: {error}")


@app.command("list")
def list_letters(
    reason: Annotated[str, typer.Option(help="only this reason")] = "",
    limit: Annotated[int, typer.Option(min=1, help="the newest so many")] = 100,
    json: Json = False,
) -> None:
    """List dead letters, newest last: where each came from and why it could not be counted."""
    if reason and reason not in REASONS:
        fail(f"no such reason; there are: {', '.join(REASONS)}", code=2)
    letters = [letter for letter in _read() if not reason or letter.reason == reason]
    if json:
        print_json([_described(letter) for letter in letters[-limit:]])
        return
    print_table(
        ("origin", "reason", "at", "bytes", "detail"),
        [
            (letter.origin, letter.reason, _time(letter.at_ms), str(len(letter.value)), letter.detail)
            for letter in letters[-limit:]
        ],
    )
    counts = ", ".join(f"{name} {count}" for name, count in dead_letters.by_reason(letters).items())
    console.print(f"{len(letters)} dead letters{': ' + counts if counts else ''}", highlight=False)


@app.command()
def show(
    origin: Annotated[str, typer.Argument(help="topic/partition/offset, as listed")],
    raw: Annotated[bool, typer.Option("--raw", help="print only the original bytes")] = False,
    json: Json = False,
) -> None:
    """Show one dead letter with its original bytes. Exit code 1 if there is none."""
    letter = next((letter for letter in _read() if letter.origin == origin), None)
    if letter is None:
        fail(f"no dead letter of {origin}")
    if raw:
        sys.stdout.buffer.write(letter.value)
    elif json:
        print_json(_described(letter) | {"value": letter.value.decode(errors="backslashreplace")})
    else:
        for name, value in _described(letter).items():
            console.print(f"{name:7} {value}", highlight=False, markup=False)
        console.print(letter.value.decode(errors="backslashreplace"), highlight=False, markup=False)


def _described(letter: DeadLetter) -> dict[str, str | int]:
    return {
        "origin": letter.origin,
        "reason": letter.reason,
        "detail": letter.detail,
        "at": _time(letter.at_ms),
        "bytes": len(letter.value),
    }


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
