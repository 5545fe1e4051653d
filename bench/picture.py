"""The picture of an event's time: a bar for each stage, drawn in text."""

from bench.budget import Budget, Share
from bench.table import ms

COLUMNS = 40
"""The length of the longest bar."""
MEDIAN, TAIL = "█", "░"
WHOLE = "event to answer"
FIGURE_COLUMNS = 9


def picture(found: Budget) -> str:
    """Return the bars of all stages, on one scale, and the figures of the whole, whose bar would dwarf them.

    A bar is the median, and behind it what the 99th percentile has more.
    """
    stages = list(found.stages.items())
    most_ms = max(share.p99_ms for _, share in stages)
    names = max(len(name) for name, _ in [*stages, (WHOLE, found.whole)])
    head = f"{'':{names}} {'p50':>{FIGURE_COLUMNS}} {'p99':>{FIGURE_COLUMNS}}"
    lines = [f"{_figures(name, share, names)}  {bar(share, most_ms)}".rstrip() for name, share in stages]
    return "\n".join(["```", head, *lines, "", _figures(WHOLE, found.whole, names), "```"])


def _figures(name: str, share: Share, columns: int) -> str:
    return f"{name:{columns}} {ms(share.p50_ms):>{FIGURE_COLUMNS}} {ms(share.p99_ms):>{FIGURE_COLUMNS}}"


def bar(share: Share, most_ms: float) -> str:
    """Return one bar, of COLUMNS characters where its p99 is the largest; a median that is short is shown."""
    median, whole = (_columns(figure, most_ms) for figure in (share.p50_ms, share.p99_ms))
    return MEDIAN * median + TAIL * (whole - median)


def _columns(figure_ms: float, most_ms: float) -> int:
    return min(max(1, round(COLUMNS * figure_ms / most_ms)), COLUMNS) if most_ms > 0 else 1
