"""What a demo prints: funnels, the table of four counts, and the verdict."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tally.streams.demo.comparison import Difference

FUNNEL = ("contacts", "accepted", "sent", "delivered", "read", "replied", "failed")
OLD_NAMES = {
    "attempts": "total",
    "accepted": "sent",
    "delivered": "delivered",
    "read": "read",
    "replied": "replied",
    "failed": "failed",
}
"""Which number of the former system stands for which counter."""
SHOWN_DIFFERENCES = 20

Row = Mapping[str, Any]


def funnel(console: Console, templates: Iterable[Row]) -> None:
    """Print the funnel of every campaign and template."""
    table = Table(
        box=None, header_style="bold", title="Funnel per campaign and template", title_justify="left"
    )
    for name in ("tenant", "campaign", "template"):
        table.add_column(name, no_wrap=True)
    for name in FUNNEL:
        table.add_column(name, justify="right", no_wrap=True)
    last = None
    shown_templates = [row for row in templates if row["accepted"]]
    for row in shown_templates:
        campaign = (row["tenant"], row["campaign"])
        shown = campaign if campaign != last else ("", "")
        last = campaign
        table.add_row(shown[0], _short(shown[1]), _template(row), *_steps(row))
    console.print(table)


def _short(campaign: str) -> str:
    return campaign if len(campaign) <= 12 else campaign[:8] + "…"


def _template(row: Row) -> str:
    name = row["template_name"]
    return f"{name} ({row['template_language']})" if name else "free-form"


def _steps(row: Row) -> list[str]:
    """Return each step with its share of the accepted; contacts are what it began with."""
    accepted = row["accepted"]
    return [
        f"{row[name]}" if name in ("contacts", "accepted") else f"{row[name]} {row[name] / accepted:4.0%}"
        for name in FUNNEL
    ]


def counts(
    console: Console,
    view: Mapping[str, int],
    postgres: Mapping[str, int],
    recounted: Mapping[str, int],
    old: Mapping[str, int],
) -> None:
    """Print every counter as the view, Postgres, the recount and the former system have it."""
    table = Table(box=None, header_style="bold", title="All campaigns together", title_justify="left")
    table.add_column("counter", no_wrap=True)
    for name in ("Tally view", "Tally in Postgres", "recount by plain SQL", "old per-status counting"):
        table.add_column(name, justify="right")
    for name, expected in recounted.items():
        before = old.get(OLD_NAMES.get(name, ""))
        table.add_row(
            name,
            _marked(view[name], expected),
            _marked(postgres[name], expected),
            str(expected),
            "-" if before is None else _marked(before, expected),
        )
    console.print(table)


def _marked(found: int, expected: int) -> Text:
    if found == expected:
        return Text(str(found))
    return Text(f"{found} ({found - expected:+d}) ✗", style="bold red")


def differences(console: Console, title: str, found: Sequence[Difference]) -> None:
    """Print what differs from the recount, if anything does."""
    if not found:
        return
    table = Table("campaign", "counter", "recount", "found", title=title, box=None, title_style="bold red")
    for each in found[:SHOWN_DIFFERENCES]:
        table.add_row(" / ".join(each.key), each.counter, str(each.recounted), str(each.found))
    console.print(table)
    if len(found) > SHOWN_DIFFERENCES:
        console.print(f"... and {len(found) - SHOWN_DIFFERENCES} more")
