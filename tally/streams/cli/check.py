"""`tally check`: says what raw events in a file would become, without publishing them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tally.agents.clock import unix_ms
from tally.schemas.errors import Bad
from tally.schemas.grains import KEY_COLUMNS, OPERATOR, RowKey
from tally.schemas.sources import RAW_TOPICS
from tally.streams.cli.output import Json, console, fail, print_json
from tally.streams.operations.checking import Checked, parts_of
from tally.streams.operations.checking import check as checked
from tally.streams.settings import load


def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON, or a record a line")],
    topic: Annotated[str, typer.Option(help="the topic; without, the name of the file's folder")] = "",
    header: Annotated[list[str] | None, typer.Option(help="a header of each record: pbx=p1")] = None,
    json: Json = False,
) -> None:
    """Say what each record of a file would become: facts, counters, or why it is not counted.

    What a record counts stands after all that is before it in the file. Exit code 1 where something is bad.
    """
    topic = topic or file.resolve().parent.name
    if topic not in RAW_TOPICS:
        fail(f"no such raw topic: {topic}; expected --topic with one of {', '.join(RAW_TOPICS)}", code=2)
    settings = load()
    headers = [_header(one) for one in header or ()]
    records = checked(
        topic,
        parts_of(topic, file.read_bytes()),
        headers,
        settings.conventions,
        settings.rules,
        unix_ms(),
    )
    found = list(records)
    if json:
        print_json([_described(one) for one in found])
    else:
        for one in found:
            _print(one)
    if any(one.bad for one in found):
        sys.exit(1)


def _header(text: str) -> tuple[str, bytes]:
    name, is_one, value = text.partition("=")
    if not is_one or not name:
        fail(f"--header {text}: expected NAME=VALUE", code=2)
    return name, value.encode()


def _print(one: Checked) -> None:
    facts = ", ".join(f"{table} {count}" for table, count in sorted(one.facts.items()))
    console.print(f"line {one.line}: {'facts: ' + facts if facts else 'no facts'}", highlight=False)
    for bad in one.bad:
        console.print(f"  not counted: {bad}", highlight=False)
    for row, counts in one.counters.items():
        said = ", ".join(f"{name} {count:+}" for name, count in counts.items())
        console.print(f"  {_named(row)}: {said}", highlight=False)
    if facts and not one.counters:
        console.print(
            "  no counter moves: it says nothing new, or waits for its send result", highlight=False
        )


def _named(row: RowKey) -> str:
    said = f"tenant {row.tenant}"
    if row.grain is OPERATOR and row.template is not None:
        return f"{said}, operator {row.template.language} at {row.template.name}"
    said += f", campaign {row.campaign}" if row.campaign else ", no campaign"
    return said if row.template is None else f"{said}, template {row.template.name} {row.template.language}"


def _described(one: Checked) -> Mapping[str, Any]:
    return {
        "line": one.line,
        "facts": dict(sorted(one.facts.items())),
        "counters": [
            {"row": dict(zip(KEY_COLUMNS, row.columns(), strict=True)), "added": counts}
            for row, counts in one.counters.items()
        ],
        "bad": [_complaint(bad) for bad in one.bad],
    }


def _complaint(bad: Bad) -> dict[str, str]:
    return {"reason": bad.reason, "path": bad.path, "expected": bad.expected}
