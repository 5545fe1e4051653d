"""Freshness and reads on the page: the age of numbers, and the latency of answers."""

from collections.abc import Iterator
from math import isnan

from bench.freshness import Delay, Freshness
from bench.reads_events import CAMPAIGNS
from bench.reads_report import ReadsReport, UnderLoad
from bench.reads_turns import Latency
from bench.table import ms, table, us
from bench.throughput_figures import Throughput

FRESHNESS = """## Freshness

From the broker's acknowledgement of an event until somebody who asks again and again sees it; one worker with
all roles. The load is real bodies, spread evenly: {wanted:,.0f} events/s{share}. The worker took
{carried:,.0f}."""
SHARE = ", {share:.0%} of the throughput above"
READS = """## Reads

One client asks fifty times a second for one of {campaigns} campaigns with {sends:,} sends, {statuses:,}
statuses and {messages:,} messages in all, while a load like that of freshness changes most of them. CPU is
that of the process that answers, beyond what it uses while nobody asks."""
SIDE_BY_SIDE = """Beside the stored function of the system that Tally replaces
([stored_function.sql](../bench/stored_function.sql)), in turns, each asked back to back, without load,
over the same events; the API's answer is kept, since no number changes:"""
LESS = """**The machine did not carry {wanted:,.0f} events/s** beside reader, publisher and both servers:
{what}."""
NOT_MODIFIED = """A 304 costs {unchanged:.0%} of the whole answer of the same campaign, which is cached and so
mostly HTTP, and {fresh:.0%} of one with new numbers: what it saves a dashboard while a campaign runs."""
FRESH = """Answers of the larger campaign with new numbers, under load, come {times:,.0f} times as fast as the
stored function's without load."""


def freshness_part(found: Freshness, throughput: Throughput | None) -> str:
    """Return the section on freshness."""
    rows = [
        _delay("view", "nothing else flows", found.idle_view),
        _delay("view", "load", found.view),
        _delay("Postgres", "load", found.postgres),
    ]
    share = SHARE.format(share=found.wanted_per_second / throughput.median_per_second) if throughput else ""
    head = FRESHNESS.format(wanted=found.wanted_per_second, share=share, carried=found.events_per_second)
    return head + "\n\n" + table(("event to", "while", "p50", "p99", "probes"), rows)


def _delay(to: str, during: str, one: Delay) -> tuple[object, ...]:
    return to, during, ms(one.p50_ms), ms(one.p99_ms), one.probes


def reads_part(found: ReadsReport) -> str:
    """Return the section on reads."""
    sends, statuses, messages = found.sizes
    parts = [
        READS.format(campaigns=len(CAMPAIGNS), sends=sends, statuses=statuses, messages=messages),
        *_less(found),
        _under_load(found),
        *_not_modified(found.own_process),
        SIDE_BY_SIDE,
        _side_by_side(found),
    ]
    if (times := found.times_faster_when_fresh) is not None:
        parts.append(FRESH.format(times=times))
    return "\n\n".join(parts)


def _less(found: ReadsReport) -> Iterator[str]:
    """Yield a line where the load had to be lowered."""
    lower = [
        f"{name} was measured at {one.events_per_second:,.0f}"
        for name, one in _arrangements(found)
        if one.share < 1 or not one.is_carried
    ]
    if lower:
        yield LESS.format(wanted=found.own_process.wanted_per_second, what=", ".join(lower))


def _arrangements(found: ReadsReport) -> tuple[tuple[str, UnderLoad], ...]:
    return ("view in its own process", found.own_process), ("all roles in one process", found.all_roles)


def _under_load(found: ReadsReport) -> str:
    rows = [row for name, one in _arrangements(found) for row in _answers(name, one)]
    return table(("process", "events/s", "answer", "p50", "p99", "worst", "CPU us"), rows)


def _answers(name: str, one: UnderLoad) -> Iterator[tuple[object, ...]]:
    load = f"{one.events_per_second:,.0f}"
    yield name, load, "campaign that moves", *_latency(one.moving.all), us(one.moving.cpu_us)
    if one.moving.changed is not None:
        yield name, load, "of these, with new numbers", *_latency(one.moving.changed), us(one.fresh_cpu_us)
    yield name, load, "campaign at rest", *_latency(one.unchanged.all), us(one.unchanged.cpu_us)
    yield (
        name,
        load,
        "the same with its ETag: 304",
        *_latency(one.not_modified.all),
        us(one.not_modified.cpu_us),
    )


def _not_modified(own: UnderLoad) -> Iterator[str]:
    if not isnan(own.not_modified_over_fresh):
        yield NOT_MODIFIED.format(
            unchanged=own.not_modified_over_unchanged, fresh=own.not_modified_over_fresh
        )


def _latency(one: Latency) -> tuple[str, str, str]:
    return ms(one.p50_ms), ms(one.p99_ms), ms(one.worst_ms)


def _side_by_side(found: ReadsReport) -> str:
    rows = [
        (
            f"{pair.sends:,} ({pair.share:.0%})",
            f"{ms(pair.function.p50_ms)}, {ms(pair.function.p99_ms)}",
            f"{ms(pair.api.p50_ms)}, {ms(pair.api.p99_ms)}",
            f"{pair.times_faster:,.0f} x",
        )
        for pair in found.side_by_side
    ]
    head = ("sends of the campaign", "stored function, p50 and p99", "read API, p50 and p99", "medians")
    return table(head, rows)
