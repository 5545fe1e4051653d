"""`tally doctor`: what is wrong and how to repair it."""

import asyncio

import typer
from msgspec import to_builtins

from tally.streams.cli.output import Json, print_json, print_table
from tally.streams.operations import doctor as diagnosis
from tally.streams.settings import load


def doctor(json: Json = False) -> None:
    """Check Kafka, topics, Postgres and migrations; show what waits and what could not be counted.

    Reads the changelog of messages to count those that wait for their send result. Exit code 1 if a
    check fails.
    """
    findings = asyncio.run(diagnosis.examine(load()))
    if json:
        print_json(to_builtins(findings))
    else:
        print_table(
            ("check", "", "finding"), [(f.check, "ok" if f.ok else "WRONG", f.detail) for f in findings]
        )
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
