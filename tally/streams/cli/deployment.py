"""`tally deployment`: which database belongs to these brokers."""

import asyncio

import typer
from aiokafka.errors import KafkaError

from tally.streams.cli.output import Json, console, fail, in_words, print_json
from tally.streams.operations import deployment
from tally.streams.settings import load
from tally.tables.postgres.failures import PostgresFailure

app = typer.Typer(
    help="Show whether brokers and database belong together, or join them.", no_args_is_help=True
)
AWAY = (KafkaError, PostgresFailure, TimeoutError, OSError)


@app.command()
def show(json: Json = False) -> None:
    """Show the deployment of the brokers and of the database. Exit code 1 if they are not the same."""
    settings = load()
    try:
        of_brokers, of_database = asyncio.run(deployment.shown(settings))
    except AWAY as error:
        fail(in_words(error))
    if json:
        print_json({"brokers": of_brokers, "database": of_database})
    else:
        console.print(f"brokers: {of_brokers or 'none yet'}, database: {of_database or 'none yet'}")
    if of_brokers != of_database:
        raise typer.Exit(1)


@app.command()
def adopt() -> None:
    """Let the counters on these brokers go to the database of TALLY_POSTGRES_DSN from now on.

    Workers with another database end within a minute. The database must not hold counters of other brokers.
    """
    settings = load()
    try:
        made = asyncio.run(deployment.adopt(settings))
    except AWAY as error:
        fail(in_words(error))
    console.print(f"brokers and database are deployment {made}", highlight=False)
