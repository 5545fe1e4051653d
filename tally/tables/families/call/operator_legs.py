"""The operators of a call's attempt, and what the attempt adds to their rows."""

from collections.abc import Iterator

from tally.schemas.cells import NO_QUARTER, QUARTER_US, Cell
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template, join_parts
from tally.schemas.operator_row import LEGS_IN_CALL, LEGS_RINGING
from tally.tables.contribution import Counts, Part
from tally.tables.families.call.attempts import Attempt
from tally.tables.families.call.dial_graph import Graph, Served
from tally.tables.families.call.result import CallResult
from tally.tables.families.call.state import Channel
from tally.tables.families.call.timeline import whole_ms


def missed_by(graph: Graph, result: CallResult) -> list[str]:
    """Return the legs of operators who let this attempt's customer ring, sorted."""
    if not graph.missed_by:
        return []
    return sorted({unique for caller in result.own for unique in graph.missed_by.get(caller, ())})


def served(graph: Graph, unique: str) -> Served:
    """Return the queue and interface that a leg was called for; without a queue, the channel's own peer."""
    if unique not in graph.served:
        graph.served[unique] = _served(graph, unique)
    return graph.served[unique]


def _served(graph: Graph, unique: str) -> Served:
    for above in graph.above(unique):
        channel = graph.channels[above]
        if above != unique and not channel.is_local:
            break  # the caller is another party, possibly an operator, too
        if channel.agent:
            if above != unique and _is_dialled_later(graph, unique, above):
                break
            return Served(channel.agent.queue, channel.agent.interface or _peer(channel))
    return Served("", _peer(graph.channels[unique]))


def _is_dialled_later(graph: Graph, unique: str, called: str) -> bool:
    """Return whether a leg was first seen after an operator took the call through the same Local channel.

    The operator's leg ends with its own channel. A transfer leaves the other half of a Local channel that is
    not optimised away in the dialplan, which may go on to dial anybody.
    """
    taken_us = graph.taken_us(called)
    return taken_us is not None and graph.channels[unique].first.at_us > taken_us


def _peer(channel: Channel) -> str:
    """Return a channel's name without its suffix, which is new for each call: `PJSIP/201-0000002a`."""
    return channel.name.rpartition("-")[0] or channel.name


def operator_parts(graph: Graph, result: CallResult, pbx: str) -> Iterator[Part]:
    """Yield what an attempt adds to its operators' rows: no campaign, (PBX, interface) for a template.

    One leg may have several parts, if what is known of it contradicts itself.
    """
    for unique in result.operators:
        spans = result.connected[unique]
        counts = {"connects": 1, "talk_ms": whole_ms(spans)}
        if spans[-1][1] is None and not graph.channels[unique].is_over:
            counts[LEGS_IN_CALL] = 1
        yield _operator_part(graph, result.attempt, unique, counts, pbx, spans[0][0])
    for unique in missed_by(graph, result):
        rang_us = graph.channels[unique].first.at_us
        yield _operator_part(graph, result.attempt, unique, {"ring_no_answer": 1}, pbx, rang_us)
    for unique in _ringing(graph, result):
        yield _operator_part(graph, result.attempt, unique, {LEGS_RINGING: 1}, pbx, None)


def _ringing(graph: Graph, result: CallResult) -> list[str]:
    """Return the legs to which a queue is offering this attempt's customer now."""
    return [
        unique
        for caller in sorted(result.own)
        for unique in graph.dialled_by(caller)
        if (channel := graph.channels[unique]).agent and channel.up_us is None
        if not channel.is_over and not channel.missed
    ]


def _operator_part(
    graph: Graph, attempt: Attempt, unique: str, counts: Counts, pbx: str, at_us: int | None
) -> Part:
    """Return a part of an operator's row, of the leg's first connect or ring; None is of what is so now."""
    channel = graph.channels[unique]
    row = RowKey(attempt.tenant, "", Template(pbx, served(graph, unique).interface))
    return Part(
        Cell(row, "", "", NO_QUARTER if at_us is None else at_us // QUARTER_US),
        {name: value for name, value in counts.items() if value},
        channel.first.at_us // 1000,
        graph.last_us(unique) // 1000,
        of=f"{attempt.of}/{join_parts(unique).decode()}",
    )
