"""What a demo shows beside its counts: bars, days, and money of which nothing is left out."""

import io
from typing import Any

import pytest
from rich.console import Console

from tally.schemas.markets import market_of
from tally.schemas.rates.reading import read_card
from tally.simulator.population import MOBILE
from tally.streams.demo import shows


def printed(show: Any, *arguments: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    show(console, *arguments)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "·"), (1, "▁"), (50, "▄"), (51, "▅"), (99, "█"), (100, "█")]
)
def test_a_bar_is_the_share_of_the_most(count: int, shown: str) -> None:
    assert shows.bar(count, 100) == shown


def test_the_busiest_days_are_shown_in_order_with_a_bar_for_each_hour() -> None:
    def day(name: str, *counts: int) -> list[dict[str, Any]]:
        return [
            {"from": f"{name}T{hour:02}:00:00Z", "counters": {"accepted": count}}
            for hour, count in enumerate(counts)
        ]

    buckets = [
        *day("2026-10-31", 1),
        *day("2026-11-01", 1, 1),
        *day("2026-11-02", 8, 2),
        *day("2026-11-03", 0, 4),
        *day("2026-11-04", 2),
    ]
    lines = printed(shows.by_hour, "Messages", buckets)
    assert lines[2:] == ["2026-11-01 ▁▁ 2", "2026-11-02 █▂ 10", "2026-11-03 ·▄ 4", "2026-11-04 ▂ 2"]


def test_a_market_without_a_cost_is_shown_as_well_and_totals_end_the_table() -> None:
    counted = [
        {"market": "BR", "counters": {"accepted": 5, "delivered": 4, "read": 2, "replied": 1}},
        {"market": "", "counters": {"accepted": 1, "delivered": 0, "read": 0, "replied": 0}},
    ]
    cost = {"market": "BR", "cost_micros": 250_000, "free": 1, "unpriced": 2}
    lines = printed(shows.markets, "Markets", counted, {"currency": "USD", "groups": [cost], "total": cost})
    assert lines[2:] == ["BR 5 4 2 1 0.2500 1 2", "- 1 0 0 0 0.0000 0 0", "all 6 4 2 1 0.2500 1 2"]


def test_the_sample_card_has_a_rate_for_every_market_that_is_simulated() -> None:
    card = read_card(shows.CARD.read_bytes()).card("USD")
    for market in ("BR", "MX", "US", *(market_of(f"+{prefix}80000001") for prefix in MOBILE)):
        assert market
        rate = card.micros(market, "marketing", card.changes[0])
        assert rate
        assert rate % 10 ** (6 - shows.DECIMALS) == 0
