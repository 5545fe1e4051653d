"""`tally generation`: which generation of counters the readers of Postgres see."""

import asyncio

import asyncpg
import typer

from tally.streams.cli.output import Json, console, fail, in_words, print_json
from tally.streams.operations import generation
from tally.streams.settings import load

app = typer.Typer(
    help="Show or move the generation that Postgres shows to its readers.", no_args_is_help=True
)


@app.command()
def show(json: Json = False) -> None:
    """Show the generation of the settings and the one that Postgres shows."""
    settings = load()
    try:
        found = asyncio.run(generation.shown(settings))
    except (OSError, asyncpg.PostgresError) as error:
        fail(in_words(error))
    if json:
        print_json({"settings": settings.generation, "postgres": found})
    else:
        console.print(
            f"settings: {settings.generation}, Postgres shows: {found or 'none yet'}", highlight=False
        )


@app.command("raise")
def raise_() -> None:
    """Let Postgres show the generation of TALLY_GENERATION, once its workers have caught up."""
    settings = load()
    try:
        asyncio.run(generation.point(settings))
    except (OSError, asyncpg.PostgresError, generation.GenerationError) as error:
        fail(in_words(error))
    console.print(f"Postgres shows generation {settings.generation}", highlight=False)
