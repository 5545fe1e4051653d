"""The cell that an attempt of a call counts in, and when what it counts happened."""

from collections.abc import Iterator

from tally.schemas.cells import MINUTE_US, QUARTER_MS, QUARTER_US, Cell
from tally.schemas.grains import RowKey
from tally.schemas.keys import bounded_name
from tally.tables.contribution import Counts, Moment
from tally.tables.families.call.counting import DROP_US
from tally.tables.families.call.dial_graph import Graph
from tally.tables.families.call.operator_legs import served
from tally.tables.families.call.queueing import abandons_of
from tally.tables.families.call.result import CallResult


def send_cell(graph: Graph, result: CallResult, pbx: str) -> Cell:
    """Return an attempt's cell, by its first result that names a call, else by its first channel."""
    attempt = result.attempt
    if attempt.asked_ms:
        quarter = min(attempt.asked_ms) // QUARTER_MS
    elif attempt.root is not None:
        quarter = graph.channels[attempt.root].first.at_us // QUARTER_US
    else:
        raise ValueError("an attempt without send results and without a channel")
    row = RowKey(attempt.tenant, attempt.campaign, attempt.template)
    return Cell(row, bounded_name(pbx), attempt.market, quarter)


def happened_of(graph: Graph, result: CallResult, counts: Counts) -> tuple[Moment, ...]:
    """Return when that happened which the counts of an attempt's row say has happened."""
    found: dict[tuple[str, int, str], int] = {}
    for name, at_us, queue in _times(graph, result, counts):
        moment = (name, at_us // MINUTE_US, bounded_name(queue))
        found[moment] = found.get(moment, 0) + 1
    return tuple([(*moment, found[moment]) for moment in sorted(found)])


def _times(graph: Graph, result: CallResult, counts: Counts) -> Iterator[tuple[str, int, str]]:
    response = result.attempt.response
    told_us = response.at_us if response else 0
    up_us = told_us if result.up_us is None else result.up_us
    if "attempted" in counts:
        dialled_us = graph.channels[result.leg].first.at_us if result.leg else told_us
        yield "attempted", min(dialled_us, up_us) if "answered" in counts else dialled_us, ""
    if "answered" in counts:
        yield "answered", up_us, ""
    if "dropped" in counts:
        yield "dropped", up_us + DROP_US, ""
    for unique in result.operators:
        yield "connects", result.connected[unique][0][0], served(graph, unique).queue
    if "queue_abandoned" in counts:
        for queue, at_us in abandons_of(graph, result):
            yield "queue_abandoned", at_us, queue
