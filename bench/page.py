"""The page of the benchmarks: targets, figures and machine."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import structs

from bench.page_growth import growth_part, noise_part
from bench.page_live import freshness_part, reads_part
from bench.page_throughput import throughput_part
from bench.report import Report
from bench.table import table
from bench.targets import YES, Target, targets

MOST_DIGITS = 6
NOTE = "<!-- All of this is written by `make bench`: change bench, not the page. -->"
HEAD = """{note}

# Benchmarks

{at:%Y-%m-%d}, `make bench`: {verdict}

Real Kafka and Postgres, real webhook bodies, all in one run. Load, servers and whoever is measured are
processes on the same cores, so nobody has the machine to itself. A figure counts only if the numbers are
right: for throughput and noise every counter of every campaign and template in view and Postgres has to be
what plain SQL counts of the raw topics, and every row of a peer as well; for growth and reads they have to be
a plain count of the same events; for freshness each probe has to be counted once.

{machine}"""
QUICK = "**quick: figures mean nothing**; it only shows that everything runs."
FAILED = "## What failed\n\nNot measured, since a number was wrong or something did not come in time: {}."


def page(report: Report, machine: str, at: datetime, *, is_quick: bool = False) -> str:
    """Return the page with a section for each measurement of the report."""
    wanted = targets(report)
    parts = [
        HEAD.format(note=NOTE, at=at, verdict=QUICK if is_quick else verdict(wanted), machine=machine),
        FAILED.format(", ".join(report.failed)) if report.failed else None,
        _targets(wanted),
        throughput_part(report.throughput, report.stages) if report.throughput else None,
        freshness_part(report.freshness, report.throughput) if report.freshness else None,
        reads_part(report.reads) if report.reads else None,
        growth_part(report.growth) if report.growth else None,
        noise_part(report.noise) if report.noise else None,
    ]
    return "\n\n".join(part for part in parts if part is not None) + "\n"


def verdict(wanted: Sequence[Target]) -> str:
    """Return how many targets hold; one that was measured at a smaller load than it names does not."""
    held = sum(one.holds == YES for one in wanted)
    if held == len(wanted):
        return f"**all {held} targets hold**."
    return f"**{held} of {len(wanted)} targets hold**."


def _targets(wanted: Sequence[Target]) -> str | None:
    if not wanted:
        return None
    rows = [(one.what, _bound(one), _figure(one), one.holds) for one in wanted]
    return "## Targets\n\n" + table(("target", "wanted", "measured", "holds"), rows)


def _bound(one: Target) -> str:
    sign = "≥" if one.at_least is not None else "≤"
    return f"{sign} {one.bound:,g}{one.unit}"


def _figure(one: Target) -> str:
    """Return a figure with enough digits to show on which side of its bound it is."""
    least = 0 if one.figure >= 1_000 else 1 if one.figure >= 10 else 2
    for digits in range(least, MOST_DIGITS):
        told = f"{one.figure:,.{digits}f}"
        if structs.replace(one, figure=float(told.replace(",", ""))).is_met == one.is_met:
            break
    return told + one.unit
