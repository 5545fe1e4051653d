"""The lines of a call: one of each attempt, and of each leg of an operator."""

from collections import defaultdict
from collections.abc import Sequence

from msgspec import structs

from tally.schemas.grains import RowKey
from tally.schemas.keys import split_parts
from tally.tables.contribution import Part
from tally.tables.families.call.places import places_of
from tally.tables.families.call.result import CallResult
from tally.tables.families.call.state import Call
from tally.tables.families.family import Placed
from tally.tables.line import Event, Line

Known = dict[str, list[Placed]]
"""The first events of a call, by whose they are."""


def lines_of(call: Call, results: Sequence[CallResult], parts: Sequence[Part]) -> list[Line]:
    """Return the lines of what a call counts; of one leg's parts in one row one line."""
    by_attempt = {result.attempt.of: result for result in results}
    known: Known = defaultdict(list)
    for placed in places_of(call):
        known[placed.of].append(placed)
    lines: dict[tuple[RowKey, str], Line] = {}
    for part in parts:
        if part.row.campaign:
            line = _of_attempt(call, by_attempt[part.of], known, part)
        else:
            of, _, leg = part.of.rpartition("/")
            line = _of_operator(call, by_attempt[of], known, part, split_parts(leg.encode())[0])
        same = lines.get((part.row, part.of))
        lines[part.row, part.of] = line if same is None else _together(same, part)
    return list(lines.values())


def _of_attempt(call: Call, result: CallResult, known: Known, part: Part) -> Line:
    attempt, root = result.attempt, result.attempt.root
    at_ms = part.first_ms
    if attempt.asked_ms:
        at_ms = min(attempt.asked_ms)
    elif root:
        at_ms = call.channels[root].first.at_us // 1_000
    leg = result.leg or root or ""
    events = _events(call, result, known, [one for one in (leg, root) if one])
    return Line(part, at_ms, attempt.contact, attempt.attempt, "", attempt.phone, leg, events=events)


def _of_operator(call: Call, result: CallResult, known: Known, part: Part, leg: str) -> Line:
    attempt = result.attempt
    is_connected = "connects" in part.counts
    at_us = result.connected[leg][0][0] if is_connected else call.channels[leg].first.at_us
    events = _first_of_each(known[leg])
    return Line(part, at_us // 1_000, attempt.contact, attempt.attempt, "", attempt.phone, leg, events=events)


def _events(call: Call, result: CallResult, known: Known, channels: Sequence[str]) -> tuple[Event, ...]:
    """Return the events of an attempt's send results, of its OriginateResponse and of its channels."""
    found = [*known.get(result.attempt.of, ())]
    if response := result.attempt.response:
        found.append(Placed("", "originate_response", response.at_us, (call.base or 0) + response.place))
    return _first_of_each([*found, *(one for channel in channels for one in known.get(channel, ()))])


def _first_of_each(found: Sequence[Placed]) -> tuple[Event, ...]:
    """Return one event of each kind: the customer's leg goes before the channel that led to it."""
    events: dict[str, Event] = {}
    for one in found:
        events.setdefault(one.kind, Event(one.kind, one.at_us // 1_000, one.place))
    return tuple(events.values())


def _together(line: Line, part: Part) -> Line:
    counts = dict(line.part.counts)
    for name, value in part.counts.items():
        counts[name] = counts.get(name, 0) + value
    return structs.replace(line, part=structs.replace(line.part, counts=counts))
