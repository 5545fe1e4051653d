"""`tally rates`: checks rate cards, and loads them into Postgres."""

import asyncio
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, NoReturn

import asyncpg
import typer

from tally.schemas.rates.reading import BadCard, ReadCard, read_card
from tally.streams.cli.output import console, errors, fail, in_words
from tally.streams.operations import rates
from tally.streams.settings import load as settings

app = typer.Typer(
    help="Check rate cards, and load them: what messages cost, by market, category and day.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Meta's CSV, or a rate a line")]
From = Annotated[str, typer.Option("--from", help="the day from which on a card of Meta's holds")]


@app.command("check")
def check(file: File, since: From = "") -> None:
    """Say what a card holds, or what is wrong with it by line. Exit code 1 if anything is."""
    console.print(_told(_read(file, since)), highlight=False)


@app.command("load")
def load(file: File, since: From = "") -> None:
    """Add a card to what is loaded: all of it, or nothing where anything is wrong. Harmless to repeat."""
    card = _read(file, since)
    try:
        loaded = asyncio.run(rates.load(settings().postgres_dsn.get_secret_value(), card))
    except BadCard as error:
        _refuse(error)
    except asyncpg.UndefinedTableError:
        fail("Postgres has no table of rates: expected tally migrate up before")
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        fail(in_words(error))
    known = f", {loaded.known} are there already" if loaded.known else ""
    console.print(f"{_told(card)}; {loaded.added} rates added{known}", highlight=False)


def _read(file: Path, since: str) -> ReadCard:
    try:
        day = date.fromisoformat(since) if since else None
    except ValueError:
        fail(f"--from {since}: expected a day such as 2026-10-01", code=2)
    try:
        card = read_card(file.read_bytes(), day)
    except BadCard as error:
        _refuse(error)
    if day is not None and not card.is_whole:
        fail("--from is for Meta's cards: one with a rate a line says itself from when on each holds", code=2)
    return card


def _refuse(error: BadCard) -> NoReturn:
    for complaint in error.complaints:
        errors.print(str(complaint), style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def _told(card: ReadCard) -> str:
    markets = len({rate.key.market for rate in card.rates})
    days = sorted({rate.since for rate in card.rates})
    span = f"from {days[0]} on" if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
    kind = "a card of Meta's" if card.is_whole else "a simple card"
    return f"{kind}: {len(card.rates)} rates in {', '.join(card.currencies)}, {markets} markets, {span}"
