"""The page of the benchmarks: three tables, a picture, and how it is measured."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import structs

from bench import page_text as text
from bench.budget import Budget
from bench.figures import Spread
from bench.growth import Growth, Plan
from bench.picture import picture
from bench.report import Report
from bench.steady_load import WarmUp
from bench.table import rate, table, us
from bench.targets import MB, MEMORY_BUDGET_MB, Bound, Table, Target, targets
from bench.throughput_figures import FAUST, TALLY, Throughput

MOST_DIGITS = 6


def page(report: Report, machine: str, at: datetime, *, is_quick: bool = False) -> str:
    """Return the page of a report."""
    wanted = targets(report)
    parts = [
        text.HEAD.format(
            note=text.NOTE, at=at, verdict=text.QUICK if is_quick else verdict(wanted), machine=machine
        ),
        text.FAILED.format(", ".join(report.failed)) if report.failed else None,
        _table(Table.THROUGHPUT, wanted),
        *(_rates(report.throughput) if report.throughput else ()),
        _table(Table.FRESHNESS, wanted),
        _table(Table.GROWTH, wanted),
        _recovery(report.growth) if report.growth else None,
        _budget(report.budget) if report.budget else None,
        text.NOT_USED,
        text.METHOD.format(
            memory_mb=Plan().memory_mb,
            budget_mb=MEMORY_BUDGET_MB,
            warm_up_per_second=WarmUp().events_per_second,
            warm_up_seconds=WarmUp().seconds,
        ),
        _took(report) if report.seconds else None,
    ]
    return "\n\n".join(part for part in parts if part is not None) + "\n"


def verdict(wanted: Sequence[Target]) -> str:
    """Return how many bounds hold."""
    musts = [one.holds(one.must) for one in wanted if one.must is not None]
    aims = [one.holds(one.aim) for one in wanted if one.aim is not None]
    return f"**{sum(musts)} of {len(musts)} musts hold, and {sum(aims)} of {len(aims)} aims**."


def _table(which: Table, wanted: Sequence[Target]) -> str | None:
    rows = [
        (one.what, _figure(one), one.detail, _bound(one, one.must), _bound(one, one.aim))
        for one in wanted
        if one.table is which
    ]
    return f"## {which}\n\n" + table(("", "measured", "from", "must", "aim"), rows) if rows else None


def _bound(one: Target, bound: Bound | None) -> str:
    """Return a bound with its verdict."""
    if bound is None:
        return ""
    sign = "≤" if bound.at_least is None else "≥"
    verdict_of = "yes" if bound.holds(one.figure) else "no"
    return f"{sign} {bound.value:,g}{one.unit}: {verdict_of}{f', {one.short_of}' if one.short_of else ''}"


def _figure(one: Target) -> str:
    """Return a figure with enough digits to show on which side of its bounds it is."""
    least = 0 if one.figure >= 1_000 else 1 if one.figure >= 10 else 2
    for digits in range(least, MOST_DIGITS):
        told = f"{one.figure:,.{digits}f}"
        rounded = structs.replace(one, figure=float(told.replace(",", "")))
        if _verdicts(rounded) == _verdicts(one):
            break
    return told + one.unit


def _verdicts(one: Target) -> list[bool]:
    return [bound.holds(one.figure) for bound in (one.must, one.aim) if bound is not None]


def _rates(found: Throughput) -> Iterator[str]:
    tally, rounds = found.contenders[TALLY], len(found.contenders[TALLY].rounds)
    yield text.RATES.format(events=tally.events, slow=found.contenders[FAUST].events, rounds=rounds)
    rows = [(name, Spread.of(one.per_second), us(one.whole_cpu_us)) for name, one in found.contenders.items()]
    yield table(("", "events/s", "CPU us an event"), rows)
    shares = [f"{name} takes {us(cost)} us" for name, cost in tally.cpu_us().items()]
    yield text.BY_PROCESS.format(shares=", ".join(shares))


def _recovery(found: Growth) -> str:
    one = found.recovery
    return text.RECOVERY.format(records=one.records, seconds=one.seconds, rss=one.rss_bytes / MB)


def _budget(found: Budget) -> str:
    head = text.BUDGET.format(
        load=rate(found.wanted_per_second), carried=rate(found.carried_per_second), probes=found.probes
    )
    return head + "\n\n" + picture(found)


def _took(report: Report) -> str:
    sections = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
    return text.TOOK.format(sections=sections, minutes=sum(report.seconds.values()) / 60)
