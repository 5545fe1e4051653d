"""`tally migrate`: the schema of the counters in Postgres."""

import typer

from tally.deploy import migrate
from tally.streams.cli.output import Json, console, fail, print_json, print_table
from tally.streams.settings import load

app = typer.Typer(help="Apply or undo the migrations of the Postgres schema `tally`.", no_args_is_help=True)


def _dsn() -> str:
    return load().postgres_dsn.get_secret_value()


@app.command()
def up() -> None:
    """Apply all pending migrations."""
    try:
        migrate.up(_dsn())
        status = migrate.status(_dsn())
    except migrate.MigrationError as error:
        fail(str(error))
    console.print(f"{len(status.applied)} migrations applied, {len(status.pending)} pending", highlight=False)


@app.command()
def down() -> None:
    """Undo the newest migration."""
    try:
        migrate.down(_dsn())
    except migrate.MigrationError as error:
        fail(str(error))


@app.command("status")
def show_status(json: Json = False) -> None:
    """Show which migrations are applied. Exit code 1 if some are pending."""
    try:
        status = migrate.status(_dsn())
    except migrate.MigrationError as error:
        fail(str(error))
    if json:
        print_json({"applied": list(status.applied), "pending": list(status.pending)})
    else:
        rows = [
            *((name, "applied") for name in status.applied),
            *((name, "pending") for name in status.pending),
        ]
        print_table(("migration", "state"), rows)
    if status.pending:
        raise typer.Exit(1)
