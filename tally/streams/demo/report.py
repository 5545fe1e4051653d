"""The output of a demo: funnels, the table of four counts, and the differences."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tally.oracle.comparison import Difference
from tally.streams.audit.stored import Ledger

FUNNEL = ("contacts", "accepted", "sent", "delivered", "read", "replied", "failed")
CALLS = {
    "attempted": "dialled",
    "answered": "answered",
    "busy": "busy",
    "no_answer": "none",
    "queue_joins": "queued",
    "connects": "connects",
    "dropped": "dropped",
    "talk_ms": "talk s",
}
"""The counters of calls that are shown, with their column titles."""
OPERATORS = {"connects": "connects", "ring_no_answer": "ring_no_answer", "talk_ms": "talk s"}
"""The counters of operators, with their column titles."""
OLD_NAMES = {
    "accepted": "sent",
    "delivered": "delivered",
    "read": "read",
    "replied": "replied",
    "failed": "failed",
}
"""The number of the former system that corresponds to each counter."""
BRIEF = ("accepted", "delivered", "read", "failed", "replied", "answered")
"""The counters shown without `--tables`; all counters are compared."""
SHOWN_DIFFERENCES = 20

Row = Mapping[str, Any]


def funnel(console: Console, templates: Iterable[Row]) -> None:
    """Print the funnel of every WhatsApp campaign and template."""
    rows = [row for row in templates if row.get("accepted")]
    _print(console, "Funnel per campaign and template", "template", rows, FUNNEL, _steps)


def calls(console: Console, scripts: Iterable[Row]) -> None:
    """Print the outcomes of calls of every voice campaign and script."""
    rows = [row for row in scripts if row.get("attempted")]
    _print(console, "Calls per campaign and script", "script", rows, tuple(CALLS.values()), _dials)


def operators(console: Console, rows: Iterable[Row]) -> None:
    """Print every operator with state and counts."""
    table = titled("Operators")
    for name in ("tenant", "pbx", "operator", "state"):
        table.add_column(name, no_wrap=True)
    for title in OPERATORS.values():
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        cells = (_cell(row, name) for name in OPERATORS)
        table.add_row(row["tenant"], row["pbx"], row["operator"], row["state"], *cells)
    console.print(table)


def titled(title: str) -> Table:
    """Return an empty table of the output."""
    return Table(box=None, header_style="bold", title=title, title_justify="left")


def _print(
    console: Console,
    title: str,
    what: str,
    rows: Sequence[Row],
    columns: Sequence[str],
    cells: Callable[[Row], list[str]],
) -> None:
    """Print rows of templates or scripts, naming each campaign once."""
    table = titled(title)
    for name in ("tenant", "campaign", what):
        table.add_column(name, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    last = None
    for row in rows:
        campaign = (row["tenant"], row["campaign"])
        shown = campaign if campaign != last else ("", "")
        last = campaign
        table.add_row(shown[0], _short(shown[1]), _template(row), *cells(row))
    console.print(table)


def _dials(row: Row) -> list[str]:
    return [_cell(row, name) for name in CALLS]


def _cell(row: Row, name: str) -> str:
    """Return a counter as the tables show it: durations in whole seconds."""
    return str(row[name] // 1000 if name.endswith("_ms") else row[name])


def _short(campaign: str) -> str:
    return campaign if len(campaign) <= 12 else campaign[:8] + "…"


def _template(row: Row) -> str:
    name = row["template_name"]
    language = f" ({row['template_language']})" if row["template_language"] else ""
    return f"{name}{language}" if name else "-"


def _steps(row: Row) -> list[str]:
    """Return the steps of the funnel; those after `accepted` with their share of the accepted."""
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
    only: Container[str] | None = None,
) -> None:
    """Print counters, all or some, as the view, Postgres, the recount and the former system have them."""
    table = titled("")
    table.add_column("counter", no_wrap=True)
    for name in ("Tally view", "Tally in Postgres", "recount by plain SQL", "old per-status counting"):
        table.add_column(name, justify="right")
    for name, expected in recounted.items():
        if only is not None and name not in only:
            continue
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
    """Print the differences from the recount, if there are any."""
    if not found:
        return
    table = Table("campaign", "counter", "recount", "found", title=title, box=None, title_style="bold red")
    for each in found[:SHOWN_DIFFERENCES]:
        table.add_row(" / ".join(each.key), each.counter, str(each.recounted), str(each.found))
    console.print(table)
    if len(found) > SHOWN_DIFFERENCES:
        console.print(f"... and {len(found) - SHOWN_DIFFERENCES} more")


def ledger(console: Console, held: Ledger) -> None:
    """Print how many lines there are, and whether every row is their sum."""
    if held.sums_are_equal:
        sums = "sums equal"
    elif held.differing:
        sums = f"{held.differing} counters of rows are other sums"
    else:
        sums = f"sums not known: {held.whole} of {held.partitions} partitions are whole"
    style = "bold green" if held.sums_are_equal else "bold red"
    console.print(f"ledger: {held.lines} lines, {sums}", style=style, highlight=False)
