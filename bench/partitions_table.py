"""The cells of the table of partitions, and the table."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from bench.steady_load import CARRIED
from bench.table import rate, table


class Cell(Struct, frozen=True):
    """One round of one cell."""

    round: int
    partitions: int
    processes: int
    per_second: int
    carried_per_second: float
    p50_ms: float
    p99_ms: float
    cores: float
    """CPU of all processes of the worker, in cores."""
    probes: int


def told(cell: Cell) -> str:
    """Return a cell as a line."""
    return (
        f"round {cell.round + 1}, {cell.partitions} partitions, {_processes(cell.processes)},"
        f" {rate(cell.per_second)} events/s ({rate(cell.carried_per_second)} carried):"
        f" p50 {cell.p50_ms:.0f} ms, p99 {cell.p99_ms:.0f} ms, {cell.cores:.2f} cores, {cell.probes} probes"
    )


def written(cells: Sequence[Cell]) -> str:
    """Return the table in Markdown: a row for each arrangement, a column for each load."""
    if not cells:
        return "Nothing is measured yet.\n"
    loads = sorted({cell.per_second for cell in cells})
    rows = [
        (partitions, _processes(processes), *(_cell(cells, partitions, processes, load) for load in loads))
        for partitions, processes in sorted({(cell.partitions, cell.processes) for cell in cells})
    ]
    head = ("partitions", "a worker's", *(f"{rate(load)} events/s" for load in loads))
    return table(head, rows) + "\n"


def _cell(cells: Sequence[Cell], partitions: int, processes: int, load: int) -> str:
    wanted = (partitions, processes, load)
    rounds = [one for one in cells if (one.partitions, one.processes, one.per_second) == wanted]
    if not rounds:
        return ""
    parts = [
        f"p50 {_spread([one.p50_ms for one in rounds])} ms",
        f"p99 {_spread([one.p99_ms for one in rounds])} ms",
        f"{median(one.cores for one in rounds):.2f} cores",
    ]
    carried = min(one.carried_per_second for one in rounds)
    if carried < CARRIED * load:
        parts.append(f"{rate(carried)} events/s carried")
    return ", ".join(parts)


def _spread(figures: Sequence[float]) -> str:
    if len(figures) == 1:
        return f"{figures[0]:.0f}"
    return f"{median(figures):.0f} ({min(figures):.0f} to {max(figures):.0f})"


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"
