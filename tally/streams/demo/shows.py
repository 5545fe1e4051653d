"""What a demo shows of the read API beside its counts: a day by hour, markets and money, and queues."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console

import tally.simulator
from tally.oracle.api import Answers
from tally.schemas.rates.reading import MICROS
from tally.streams.demo.report import titled

CARD = Path(tally.simulator.__file__).parent / "rates.csv"
"""A sample card; its rates are near those of Meta's cards, and nobody's."""
DECIMALS = 4
"""Those of its rates."""
BARS = "▁▂▃▄▅▆▇█"
NOTHING = "·"
MOST_DAYS = 4
Json = Mapping[str, Any]


async def show(console: Console, answers: Answers, tenant: str) -> None:
    """Print when a tenant sent, what came of the campaign that costs most, by market, and its queues."""
    path = f"/v1/tenants/{tenant}"
    campaigns = await answers.campaigns(tenant)
    hours = await answers.get(f"{path}/series?interval=hour&counter=accepted&{days(campaigns)}")
    by_hour(console, f"Messages of {tenant} by day and hour, UTC", hours["buckets"])
    costs = (await answers.get(f"{path}/cost?group_by=campaign"))["groups"]
    dearest = max(costs, key=lambda one: one["cost_micros"])["campaign"]
    path_of_it = f"{path}/campaigns/{quote(dearest, safe='')}"
    counted = await answers.get(f"{path_of_it}/breakdown?by=market")
    priced = await answers.get(f"{path_of_it}/cost?group_by=market")
    title = f"Campaign {dearest[:8]} by market, and what it costs by a sample card, {priced['currency']}"
    markets(console, title, counted["groups"], priced)
    queues(console, (await answers.get(f"{path}/queues"))["queues"])


def days(campaigns: Sequence[Json]) -> str:
    """Return the parameters of all days on which campaigns were active. Pure."""
    first = min(one["first_activity"] for one in campaigns)
    last = max(one["last_activity"] for one in campaigns)
    return f"from={first[:10]}&to={last[:10]}"


def by_hour(console: Console, title: str, buckets: Sequence[Json]) -> None:
    """Print a line of hours for each of the days with most messages, in order."""
    counts: dict[str, list[int]] = {}
    for bucket in buckets:
        counts.setdefault(bucket["from"][:10], []).append(bucket["counters"]["accepted"])
    busy = sorted(counts, key=lambda day: -sum(counts[day]))[:MOST_DAYS]
    shown = {day: counts[day] for day in sorted(busy) if any(counts[day])}
    most = max((max(hours) for hours in shown.values()), default=0)
    lines = titled(title)
    for name in ("day", "from 0 to 24 h", "accepted"):
        lines.add_column(name, no_wrap=True)
    for day, hours in shown.items():
        lines.add_row(day, "".join(bar(count, most) for count in hours), f"{sum(hours)}")
    console.print(lines)


def bar(count: int, most: int) -> str:
    """Return the bar of a count among others. Pure."""
    return BARS[(count * len(BARS) - 1) // most] if count else NOTHING


def markets(console: Console, title: str, counted: Iterable[Json], priced: Json) -> None:
    """Print what came of each market, with what it cost; a row of totals ends it."""
    costs = {one["market"]: one for one in priced["groups"]}
    lines = titled(title)
    for name in ("market", "accepted", "delivered", "read", "replied", "cost", "free", "unpriced"):
        lines.add_column(name, justify="left" if name == "market" else "right", no_wrap=True)
    names = ("accepted", "delivered", "read", "replied")
    sums = dict.fromkeys(names, 0)
    for group in counted:
        counters = group["counters"]
        sums = {name: sums[name] + counters[name] for name in names}
        cost = costs.get(group["market"], {"cost_micros": 0, "free": 0, "unpriced": 0})
        lines.add_row(group["market"] or "-", *(str(counters[name]) for name in names), *_money(cost))
    lines.add_row("all", *(str(sums[name]) for name in names), *_money(priced["total"]))
    console.print(lines)


def _money(cost: Json) -> tuple[str, str, str]:
    # Exact: no rate of the sample card has more decimals.
    return f"{cost['cost_micros'] / MICROS:.{DECIMALS}f}", str(cost["free"]), str(cost["unpriced"])


def queues(console: Console, found: Iterable[Json]) -> None:
    """Print who waits in each queue now, what became of all others, and the service level."""
    lines = titled("Queues")
    for name in ("queue", "waiting", "longest", "joins", "connects", "abandoned", "timeouts", "within 20 s"):
        lines.add_column(name, justify="left" if name == "queue" else "right", no_wrap=True)
    for one in found:
        counts, level = one["counts"], one["service_level"][0]["value"]
        waited = one["longest_wait_ms"]
        lines.add_row(
            one["queue"],
            str(one["waiting"]),
            "-" if waited is None else str(timedelta(seconds=waited // 1000)),
            *(str(counts[name]) for name in ("joins", "connects", "abandoned", "timeouts")),
            "-" if level is None else f"{level:.0%}",
        )
    console.print(lines)
