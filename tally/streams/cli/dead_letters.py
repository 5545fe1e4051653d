"""`tally dead-letters`: the records that could not be counted, with their original bytes."""

import asyncio
import re
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError
from msgspec import structs

from tally.agents.clock import unix_ms
from tally.schemas import fields
from tally.schemas.errors import REASONS, BadEvent
from tally.schemas.sources import RAW_TOPICS
from tally.streams.cli.output import Json, console, fail, in_words, print_json, print_table
from tally.streams.operations import dead_letters
from tally.streams.operations.dead_letters import StoredDeadLetter
from tally.streams.operations.grouped_letters import Group, Groups, grouped
from tally.streams.operations.replay import Wanted, replay
from tally.streams.settings import load

app = typer.Typer()

Since = Annotated[str, typer.Option(help="no older ones: 90s, 15m, 6h, 2d, or RFC 3339 with a zone")]
_AGO = re.compile(r"(\d{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
WHY = {
    "facts": "facts that our own code could not take: a later generation counts them (docs/running.md)",
    "batches": "batches that could not be taken apart",
    "kept in part": "too large to be kept whole; the raw topic may still have them",
    "of another topic": "of no raw topic of this deployment",
    "too large": "refused by the brokers for their size: they were compressed",
}
"""What is said of letters that cannot be published again."""

Found = TypeVar("Found")


def _asked(question: Coroutine[Any, Any, Found]) -> Found:
    try:
        return asyncio.run(question)
    except (KafkaError, TimeoutError) as error:
        fail(in_words(error))


@app.callback(invoke_without_command=True)
def dead_letters_grouped(context: typer.Context, since: Since = "", json: Json = False) -> None:
    """Count what could not be counted by topic, reason and path; list it, show it, publish it again."""
    if context.invoked_subcommand is not None:
        return
    found = _asked(grouped(load(), _since_ms(since)))
    if json:
        print_json(
            [
                {**structs.asdict(group), "letters": count, "newest": found.newest[group].origin}
                for group, count in _most_common(found)
            ]
        )
        return
    print_table(
        ("topic", "letters", "reason", "path", "expected", "newest"),
        [
            (group.topic, str(count), group.reason, group.path, group.expected, found.newest[group].origin)
            for group, count in _most_common(found)
        ],
    )
    foreign = f"; {found.foreign} records of the topic are none" if found.foreign else ""
    console.print(f"{found.total} dead letters{foreign}", highlight=False)


def _most_common(found: Groups) -> list[tuple[Group, int]]:
    return sorted(found.letters.items(), key=lambda one: (-one[1], one[0]))


def _since_ms(text: str) -> int | None:
    """Return the moment that an option names; None without one. Exits with code 2 if it names none."""
    if not text:
        return None
    if ago := _AGO.fullmatch(text):
        return max(unix_ms() - int(ago[1]) * _SECONDS[ago[2]] * 1_000, 0)
    try:
        return fields.unix_ms(text, "--since")
    except BadEvent:
        fail(f"--since {text}: expected 90s, 15m, 6h, 2d, or RFC 3339 with a zone", code=2)


def _known_reason(reason: str) -> str:
    if reason and reason not in REASONS:
        fail(f"no such reason; there are: {', '.join(REASONS)}", code=2)
    return reason


@app.command("replay")
def replay_letters(
    reason: Annotated[str, typer.Option(help="only this reason")] = "",
    topic: Annotated[str, typer.Option(help="only of this raw topic")] = "",
    since: Since = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be published")] = False,
) -> None:
    """Publish dead letters again, byte for byte, to the topics that they came from. Harmless to repeat."""
    if topic and topic not in RAW_TOPICS:
        fail(f"no such raw topic; there are: {', '.join(RAW_TOPICS)}", code=2)
    wanted = Wanted(_known_reason(reason), topic, _since_ms(since))
    found = _asked(replay(load(), wanted, dry_run))
    by_topic = ", ".join(f"{name} {count}" for name, count in sorted(found.by_topic.items()) if count)
    would = "would be published" if dry_run else "published"
    console.print(f"{found.by_topic.total()} dead letters {would} again{': ' * bool(by_topic)}{by_topic}")
    for why, count in sorted(found.left_out.items()):
        if count:
            console.print(f"{count} left out: {WHY[why]}", highlight=False)


@app.command("list")
def list_letters(
    reason: Annotated[str, typer.Option(help="only this reason")] = "",
    limit: Annotated[int, typer.Option(min=1, help="the newest so many")] = 100,
    json: Json = False,
) -> None:
    """List dead letters, newest last: where each came from and why it could not be counted."""
    found = _asked(dead_letters.summary(load(), _known_reason(reason), limit))
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
