"""Merging what is known of a call: a join of values, whatever order facts come in."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tally.schemas.call_facts import Role
from tally.tables.families.call.state import UNTIMED, Asked, Call, Channel
from tally.tables.families.family import earliest, ordered

T = TypeVar("T")
Timed = TypeVar("Timed", tuple[int, int], tuple[int, str], tuple[int, str, str])


def joined(states: Sequence[Call]) -> Call:
    """Return what is known with all of these."""
    identifiers: set[bytes] = set()
    channels: dict[str, Channel] = {}
    asked: dict[str, Asked] = {}
    responses: dict[str, tuple[int, str, int]] = {}
    for state in states:
        identifiers.update(state.identifiers)
        _join_maps(channels, state.channels, _join_channels)
        _join_maps(asked, state.asked, _join_asked)
        _join_maps(responses, state.responses, min)
    return Call(sorted(identifiers), ordered(channels), ordered(asked), ordered(responses))


def _join_maps(into: dict[str, T], other: Mapping[str, T], join: Callable[[T, T], T]) -> None:
    for key, value in other.items():
        mine = into.get(key)
        into[key] = value if mine is None else join(mine, value)


def _join_channels(left: Channel, right: Channel) -> Channel:
    hangup = _least(left.hangup, right.hangup)
    return Channel(
        min(left.first, right.first),
        max(left.listed_us, right.listed_us),
        False,  # gone: whoever merges sweeps again
        earliest(left.up_us, right.up_us),
        left.rang or right.rang,
        _least(left.request, right.request),
        hangup,
        _least(left.dial_end, right.dial_end),
        _union(left.callers, right.callers),
        _least(left.agent, right.agent),
        _union(left.missed, right.missed),
        _join_variables(left.variables, right.variables),
        _join_moments(left.moments, right.moments),
    )


def _least(left: Timed | None, right: Timed | None) -> Timed | None:
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)


def _union(left: list[str], right: list[str]) -> list[str]:
    return left if not right or left == right else sorted({*left, *right})


def _join_variables(
    left: dict[Role, tuple[int, str]], right: dict[Role, tuple[int, str]]
) -> dict[Role, tuple[int, str]]:
    if not right:
        return left
    known = dict(left)
    for role, value in right.items():
        known[role] = min(value, known.get(role, value))
    return _ordered_roles(known)


def _ordered_roles(variables: dict[Role, tuple[int, str]]) -> dict[Role, tuple[int, str]]:
    return dict(sorted(variables.items()))


def _join_moments(left: dict[str, list[int]], right: dict[str, list[int]]) -> dict[str, list[int]]:
    if not right:
        return left
    known = dict(left)
    for key, times in right.items():
        mine = known.get(key)
        if mine is None:
            known[key] = times
        elif UNTIMED in key:
            known[key] = min(mine, times)
        else:
            known[key] = sorted({*mine, *times})
    return ordered(known)


def _join_asked(left: Asked, right: Asked) -> Asked:
    results = dict(left.results)
    for outcome, (at_ms, template) in right.results.items():
        mine = results.get(outcome, (at_ms, template))
        results[outcome] = (min(at_ms, mine[0]), min(template, mine[1]))
    return Asked(ordered(results), sorted({*left.ids, *right.ids}), left.second or right.second)
