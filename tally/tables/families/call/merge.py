"""The join of states of a call, in one pass. The order of facts does not matter.

If a channel's campaign and contact came in different events, every pair of them names the call. Only the
first of each count, but a late event may still turn out to be the first.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import islice, product
from typing import TypeVar

from tally.schemas.bounds import CALL_MEMBERS
from tally.schemas.call_facts import Role
from tally.schemas.facts import least_known
from tally.schemas.keys import join_parts
from tally.schemas.places import First
from tally.tables.families.call.places import counted_from, join_places
from tally.tables.families.call.state import (
    Call,
    Channel,
    DialEnd,
    Hangup,
    Offer,
    Requested,
    Result,
    Shown,
    Whom,
    is_untimed,
)
from tally.tables.families.family import ordered

Timed = TypeVar("Timed", First, Hangup, DialEnd, Offer, Whom)
T = TypeVar("T")

KEPT_IDENTIFIERS = 64
"""Identifiers that a call beyond its bound keeps; the first names it. The fold knows the rest as aliases."""
NAMING: tuple[Role, ...] = ("campaign", "contact")


def joined(states: Sequence[Call]) -> Call:
    """Return the join of these states; only a few identifiers if it is beyond the bound."""
    identifiers = {identifier for state in states for identifier in state.identifiers}
    if any(state.is_beyond for state in states):
        return _beyond(identifiers)
    base = min([state.base for state in states if state.base is not None], default=None)
    states = [counted_from(base, state) for state in states]
    channels: dict[str, Channel] = {}
    for unique, channel, others in _grouped(state.channels for state in states):
        if others:
            channel = join_channels([channel, *others])  # noqa: PLW2901 - the joined channel
            identifiers.update(names_of(channel))
            if len(identifiers) > CALL_MEMBERS.most:
                return _beyond(identifiers)
        channels[unique] = channel
    asked = {key: _join_asked([one, *more]) for key, one, more in _grouped(state.asked for state in states)}
    responses = {
        key: min(one, *more) if more else one
        for key, one, more in _grouped(state.responses for state in states)
    }
    whole = Call(sorted(identifiers), ordered(channels), ordered(asked), ordered(responses), base=base)
    return _beyond(identifiers) if size_of(whole) > CALL_MEMBERS.most else whole


def size_of(call: Call) -> int:
    """Return the number of a call's members, as its bound counts them; a join never makes it smaller."""
    of_channels = sum(
        1
        + len(channel.callers)
        + len(channel.missed)
        + len(channel.renamed)
        + (sum(map(len, channel.moments.values())) if channel.moments else 0)
        for channel in call.channels.values()
    )
    of_asked = sum(len(asked.results) + len(asked.ids) for asked in call.asked.values())
    return len(call.identifiers) + of_channels + of_asked + len(call.responses)


def _beyond(identifiers: Iterable[bytes]) -> Call:
    """Return the state of a call beyond its bound, which keeps nothing that could count.

    Pairs of campaign and contact do not name it: which of them it has depends on channels that are not kept.
    """
    ids = (identifier for identifier in identifiers if not identifier.startswith(b"v"))
    return Call(nsmallest(KEPT_IDENTIFIERS, ids), is_beyond=True)


def _grouped(maps: Iterable[dict[str, T]]) -> Iterator[tuple[str, T, list[T]]]:
    """Yield each key with its first value and the list of the others, which is mostly empty."""
    first: dict[str, T] = {}
    more: dict[str, list[T]] = {}
    for values in maps:
        for key, value in values.items():
            if key in first:
                more.setdefault(key, []).append(value)
            else:
                first[key] = value
    for key, value in first.items():
        yield key, value, more.get(key, [])


def join_channels(parts: Sequence[Channel]) -> Channel:
    """Return the join of states of one channel."""
    variables, renamed = _join_variables(parts)
    moments = _join_moments(parts)
    return Channel(
        min([part.first for part in parts]),
        max([part.listed_us for part in parts]),
        False,  # vanished: the latest resync is applied again after each merge
        _least([part.up for part in parts]),
        any(part.rang for part in parts),
        _least([part.request for part in parts]),
        _least([part.hangup for part in parts]),
        _least([part.dial_end for part in parts]),
        _union([part.callers for part in parts]),
        _least([part.agent for part in parts]),
        _join_missed([part.missed for part in parts]),
        variables,
        moments,
        _least([part.named for part in parts]),
        renamed,
        join_places(parts, moments),
    )


def _least(values: list[Timed | None]) -> Timed | None:
    return min([value for value in values if value is not None], default=None)


def _union(lists: list[list[str]]) -> list[str]:
    known = [values for values in lists if values]
    return sorted(set().union(*known)) if len(known) > 1 else known[0] if known else []


def _join_missed(parts: list[dict[str, First]]) -> dict[str, First]:
    known = [part for part in parts if part]
    if len(known) < 2:
        return known[0] if known else {}
    missed: dict[str, First] = {}
    for part in known:
        for caller, first in part.items():
            missed[caller] = min(first, missed.get(caller, first))
    return ordered(missed)


def _join_variables(
    parts: Sequence[Channel],
) -> tuple[dict[Role, Shown], list[tuple[Role, str]]]:
    """Return the earliest value of each variable, and the other values of campaign and contact."""
    known: dict[Role, Shown] = {}
    for part in parts:
        for role, value in part.variables.items():
            if role not in known or value < known[role]:
                known[role] = value
    if not any(role in known for role in NAMING):
        return dict(sorted(known.items())), []
    shown = {
        (role, part.variables[role].value) for part in parts for role in NAMING if role in part.variables
    }
    shown.update(one for part in parts for one in part.renamed)
    renamed = sorted((role, value) for role, value in shown if value != known[role].value)
    return dict(sorted(known.items())), renamed


def names_of(channel: Channel) -> list[bytes]:
    """Return the identifiers of all pairs of a campaign and a contact that came alone on a channel.

    At most one more than a call may have: with that many, the call is beyond its bound.
    """
    variables = channel.variables
    if "campaign" not in variables or "contact" not in variables:
        return []
    shown: dict[Role, list[str]] = {role: [variables[role].value] for role in NAMING}
    for role, value in channel.renamed:
        shown[role].append(value)
    pairs = product(shown["campaign"], shown["contact"])
    return [b"v" + join_parts(*pair) for pair in islice(pairs, CALL_MEMBERS.most + 1)]


def _join_moments(parts: Sequence[Channel]) -> dict[str, list[int]]:
    found: dict[str, list[list[int]]] = defaultdict(list)
    for part in parts:
        for key, times in part.moments.items():
            found[key].append(times)
    for key, several in found.items():
        if len(several) > 1:
            found[key] = [min(several) if is_untimed(key) else sorted(set().union(*several))]
    return ordered({key: several[0] for key, several in found.items()})


def _join_asked(parts: Sequence[Requested]) -> Requested:
    if len(parts) == 1:
        return parts[0]
    results = dict(parts[0].results)
    for part in parts[1:]:
        for outcome, one in part.results.items():
            mine = results.get(outcome, one)
            at_ms, place = min((one.at_ms, one.place), (mine.at_ms, mine.place))
            results[outcome] = Result(
                at_ms,
                min(one.template, mine.template),
                least_known(one.market, mine.market),
                least_known(one.phone, mine.phone),
                place,
            )
    ids = sorted({one for part in parts for one in part.ids})
    return Requested(ordered(results), ids, any(part.customer_is_second_leg for part in parts))
