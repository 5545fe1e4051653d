"""The counters of one attempt of a call, of its queues and operators (docs/counters.md)."""

from collections import Counter

from tally.schemas.bounded import cause_key
from tally.tables.contribution import Counts
from tally.tables.families.call.dial_graph import Graph
from tally.tables.families.call.operator_legs import missed_by, served
from tally.tables.families.call.queueing import queued_by
from tally.tables.families.call.result import CallResult, was_attempted
from tally.tables.families.call.timeline import Span, held_ms, whole_ms
from tally.tables.families.family import earliest
from tally.tables.rules import Rules

DROP_US = 2_000_000
"""An operator must be connected within 2 s of the customer's answer (47 CFR 64.1200(a)(7))."""
VERDICTS = {"HUMAN": "answered_human", "MACHINE": "answered_machine"}


def counts_of(graph: Graph, result: CallResult, rules: Rules) -> Counts:
    """Return the counters of an attempt's row."""
    counts: Counts = {}
    if was_attempted(result):
        counts["attempted"] = 1
    if result.is_answered:
        counts |= _answer_counts(graph, result, rules)
    if result.outcome:
        counts[result.outcome] = 1
    if result.is_lost:
        counts["ended_unknown"] = 1
    leg = graph.channels[result.leg] if result.leg else None
    if leg and leg.hangup:
        counts[f"hangup_causes.{cause_key(leg.hangup.cause)}"] = 1
    _add_queues(graph, result, counts)
    _add_operators(graph, result, counts)
    if _is_dropped(graph, result, counts, rules):
        counts["dropped"] = 1
    return {name: value for name, value in counts.items() if value}


def _answer_counts(graph: Graph, result: CallResult, rules: Rules) -> Counts:
    counts: Counts = {"answered": 1}
    leg = graph.channels[result.leg] if result.leg else None
    if leg and leg.hangup and result.up_us is not None:
        counts["connected_ms"] = max(leg.hangup.at_us - result.up_us, 0) // 1_000
    verdicts = [
        verdict
        for unique in result.own
        if unique in graph.channels and (verdict := graph.channels[unique].variables.get("amd"))
    ]
    if verdicts:
        counts[VERDICTS.get(min(verdicts).value, "answered_unknown")] = 1
    elif rules.unknown_is_human:
        counts["answered_human"] = 1
    return counts


def _add_queues(graph: Graph, result: CallResult, counts: Counts) -> None:
    for queue, one in sorted(queued_by(graph, result).items()):
        _add(counts, "queue_wait_ms", queue, "wait_ms", one.wait_ms)
        _add(counts, "queue_joins", queue, "joins", one.joins)
        _add(counts, "queue_abandoned", queue, "abandoned", one.abandoned)
        _add(counts, "queue_timeouts", queue, "timeouts", one.timeouts)
        _add(counts, "queue_waiting", queue, "waiting", one.waiting)
        for waited, number in Counter(one.waited).items():
            counts[f"queue_waits.{queue}/{waited}"] = number


def _add(counts: Counts, name: str, queue: str, what: str, value: int) -> None:
    """Add a value to the campaign's counter, and to the queue's if there is a queue."""
    if value:
        counts[name] = counts.get(name, 0) + value
        if queue:
            key = f"queues.{queue}/{what}"
            counts[key] = counts.get(key, 0) + value


def _add_operators(graph: Graph, result: CallResult, counts: Counts) -> None:
    for unique in result.operators:
        queue = served(graph, unique).queue
        _add(counts, "connects", queue, "connects", 1)
        _add(counts, "talk_ms", queue, "talk_ms", whole_ms(result.connected[unique]))
        _add(counts, "hold_ms", queue, "hold_ms", held_ms(graph.holds(unique), result.connected[unique]))
    if result.leg and result.up_us is not None:
        whole_call: list[Span] = [(result.up_us, None)]
        _add(counts, "hold_ms", "", "", held_ms(graph.holds(result.leg), whole_call))
    for unique in missed_by(graph, result):
        _add(counts, "ring_no_answer", served(graph, unique).queue, "ring_no_answer", 1)


def _is_dropped(graph: Graph, result: CallResult, counts: Counts, rules: Rules) -> bool:
    """Return whether a human answered, was meant for an operator, and had none in time."""
    meant = "queue_joins" in counts or result.attempt.template.name in rules.operator_scripts
    if "answered_human" not in counts or not meant or result.up_us is None:
        return False
    first_connect = min((result.connected[unique][0][0] for unique in result.operators), default=None)
    leg = graph.channels[result.leg] if result.leg else None
    ended = leg.hangup.at_us if leg and leg.hangup else None
    # No event marks the deadline: only a later connect or the hang-up shows that it has passed.
    known_us = earliest(first_connect, ended)
    return known_us is not None and known_us > result.up_us + DROP_US
