"""`python -m bench.live`: what the live side costs, and how long an event takes to frames and pages.

What 1,000 streams on 50 campaigns cost a view; how soon a page shows its numbers, and what drawing 500
campaigns or 200 operators costs a browser; how long it takes from the acknowledgement of an event to the
frame at a bare client, beside 10,000 events/s, and to the number on a page, beside 1,000 events/s; and how
much the heap of a page grows in 8 hours of frames. Each figure can be made alone.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from statistics import median

from msgspec import Struct, structs

from bench.freshness import Delay, delay
from bench.live_heap import Heap, measure_heap
from bench.live_pages import Plan, measure_drawing, measure_first_views
from bench.live_probes import PageProber, StreamProber
from bench.live_streams import Cost, Streams, measure_streams
from bench.load import Size
from bench.probes import Pace, Prober
from bench.servers import own_database, servers
from bench.steady_load import CARRIED, SteadyLoad, WarmUp
from bench.worker import TWO, Worker, running
from tests.support.judge import counted, prepare

TO_FRAME = Pace(24, 1.0, "streamed")
"""The pauses spread probes over the second between two frames."""
PROBES = 400
PROBED_SECONDS = 60.0
SETTLE_SECONDS = 6.0
COUNTED_SECONDS = 300.0
WARM_UP = WarmUp(6_000.0, 30.0)
FRAME_LOAD, PAGE_LOAD = 10_000.0, 1_000.0
FRAME_MS, PAGE_MS = 1_300.0, 1_600.0
STREAMS = Streams()
HEAP = Heap()
PLAN = Plan()
PATHS = ("/", "/c/campaign%20006", "/wall")
LEAST_FRAMES = 0.95
"""Frames a second of each stream; of a machine that shows fewer it is no figure."""


class Asked(Struct, frozen=True):
    """What is asked for in place of what a figure is of."""

    load: float | None = None
    hours: float = HEAP.hours
    paths: tuple[str, ...] = PATHS


def main() -> int:
    """Measure what is asked for, print it, and return 1 where a bound does not hold."""
    asking = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    asking.add_argument("--only", choices=list(FIGURES), action="append", help="one of the figures")
    asking.add_argument("--load", type=float, help="frame, page: events a second")
    asking.add_argument("--hours", type=float, default=HEAP.hours, help="heap: of frames, an hour in 72 s")
    asking.add_argument("--path", choices=PATHS, action="append", help="heap: one of the pages")
    given = asking.parse_args()
    asked = Asked(given.load, given.hours, tuple(given.path or PATHS))
    holds = [_measured(name, asked) for name in given.only or FIGURES]
    return 0 if all(holds) else 1


def _measured(name: str, asked: Asked) -> bool:
    """Return whether a figure holds; one that takes too long does not."""
    figure = FIGURES[name]
    seconds = figure.most_seconds + (_heap_seconds(asked) if name == "heap" else 0)
    try:
        return asyncio.run(_in_time(figure.measure(asked), seconds))
    except TimeoutError:
        return _said(f"{name} was not measured in time: a busy machine, or something hangs", holds=False)


async def _in_time(measuring: Awaitable[bool], seconds: float) -> bool:
    async with asyncio.timeout(seconds):
        return await measuring


def _heap_seconds(asked: Asked) -> float:
    """Return for how long heaps may be measured: twice as long as it takes where pages draw each frame."""
    frames = HEAP.warm_up_frames + 3_600 * asked.hours
    return 2 * len(asked.paths) * frames / HEAP.frames_per_second


async def streams(_: Asked) -> bool:
    """Measure what streams cost a view."""
    cost = await measure_streams(STREAMS)
    return _said(
        f"{STREAMS.viewers:,} streams on {STREAMS.campaigns} campaigns, each of which changes each second:"
        f" {cost.cores:.2f} of a core and {cost.megabytes:.0f} MB more than without;"
        f" {cost.frames_per_second:.2f} frames/s each, the longest pause of one {cost.longest_pause_s:.2f} s",
        is_within(cost, STREAMS),
    )


def is_within(cost: Cost, asked: Streams) -> bool:
    """Return whether a cost is within its bounds, and of streams that did not stand still. Pure."""
    has_shown = cost.frames_per_second > LEAST_FRAMES
    return has_shown and cost.cores <= asked.most_cores and cost.megabytes <= asked.most_megabytes


async def first(_: Asked) -> bool:
    """Measure how soon pages show their numbers."""
    found = await measure_first_views(PLAN)
    medians = {name: median(one.seen_ms for one in views) for name, views in found.items()}
    said = ", ".join(
        f"{name} {medians[name]:.0f} ms ({median(one.painted_ms for one in views):.0f} to the first paint,"
        f" {max(one.seen_ms for one in views):.0f} at worst)"
        for name, views in found.items()
    )
    return _said(
        f"a page's numbers are seen after (at most {PLAN.most_ms:.0f} ms; median of {PLAN.openings} openings"
        f" with an empty cache): {said}",
        max(medians.values()) <= PLAN.most_ms,
    )


async def drawing(_: Asked) -> bool:
    """Measure what drawing costs."""
    found = await measure_drawing(PLAN)
    said = ", ".join(f"{name} {ms:.1f} ms" for name, ms in found.items())
    return _said(
        f"scripting, styles and layout of a frame with {PLAN.drawn_campaigns} campaigns or 200 operators,"
        f" half of the frames within: {said} (at most {PLAN.most_drawn_ms:.0f})",
        max(found.values()) <= PLAN.most_drawn_ms,
    )


async def frame(asked: Asked) -> bool:
    """Measure from an event to the frame at a bare client."""
    load = asked.load or FRAME_LOAD
    found, carried = await _probed(StreamProber, load)
    return _told("to the frame at a bare client", found, carried, load, FRAME_MS)


async def page(asked: Asked) -> bool:
    """Measure from an event to the number on a page."""
    load = asked.load or PAGE_LOAD
    found, carried = await _probed(PageProber, load)
    return _told("to the number on a page", found, carried, load, PAGE_MS)


async def _probed(kind: Callable[[Worker], Prober], load: float) -> tuple[Delay, float]:
    """Return the delay of probes, and the events a second that were carried meanwhile."""
    events = WARM_UP.events + load * (SETTLE_SECONDS + PROBED_SECONDS + 20.0)
    with servers() as there:
        async with own_database(there.environment("live-")) as environment:
            await prepare(environment)
            worker = Worker(environment, there.folder, "live", TWO)
            flow = SteadyLoad(environment, Size.of_events(events), 7)
            async with running(worker), kind(worker) as prober, flow:
                await WARM_UP.run(flow)
                flow.at(load)
                await asyncio.sleep(SETTLE_SECONDS)
                before, mark = await worker.taken(), flow.mark()
                found = await prober.probed(TO_FRAME, PROBES, PROBED_SECONDS)
                taken, past_s = await worker.taken() - before, flow.mark().at_s - mark.at_s
                carried = min(taken / past_s, flow.per_second_since(mark))
                await flow.ended()
                await counted(worker, COUNTED_SECONDS)
    return delay([one.delay_s for one in found]), carried


async def heap(asked: Asked) -> bool:
    """Measure how much the heap of pages grows that are left open."""
    wanted = structs.replace(HEAP, hours=asked.hours)
    grown = {path: await measure_heap(wanted, path) for path in asked.paths}
    said = ", ".join(f"{path} by {megabytes:.2f} MB" for path, megabytes in grown.items())
    return _said(
        f"in {wanted.frames:,} frames ({wanted.hours:g} hours) the heap grew of {said}"
        f" (at most {wanted.most_megabytes:g} MB in {HEAP.hours:g} hours)",
        max(grown.values()) <= wanted.most_megabytes,
    )


def _told(what: str, found: Delay, carried: float, load: float, most_ms: float) -> bool:
    is_carried = carried >= CARRIED * load
    says = "" if is_carried else f" (of {load:,.0f} wanted: no figure of that load)"
    return _said(
        f"from an event {what}, beside {carried:,.0f} events/s{says}:"
        f" p50 {found.p50_ms:,.0f} ms, p99 {found.p99_ms:,.0f} ms (at most {most_ms:,.0f})"
        f" of {found.probes} probes",
        is_carried and found.p99_ms <= most_ms,
    )


def _said(line: str, holds: bool) -> bool:
    sys.stdout.write(f"{'holds' if holds else 'DOES NOT HOLD'}: {line}\n")
    sys.stdout.flush()
    return holds


class Figure(Struct, frozen=True):
    """One figure, and how long it may take."""

    measure: Callable[[Asked], Awaitable[bool]]
    most_seconds: float


FIGURES: dict[str, Figure] = {
    "streams": Figure(streams, 240.0),
    "first": Figure(first, 300.0),
    "drawing": Figure(drawing, 420.0),
    "frame": Figure(frame, 1_200.0),
    "page": Figure(page, 900.0),
    "heap": Figure(heap, 180.0),
}

if __name__ == "__main__":
    sys.exit(main())
