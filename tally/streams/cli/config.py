"""`tally config`: every setting with its value and help line."""

from tally.streams.cli.output import Json, print_json, print_table
from tally.streams.settings import load


def config(json: Json = False) -> None:
    """Show every setting: environment variable, present value, meaning. Secrets are not shown."""
    rows = load().shown()
    if json:
        print_json([{"variable": name, "value": value, "help": text} for name, value, text in rows])
    else:
        print_table(("setting", "value", "meaning"), rows)
