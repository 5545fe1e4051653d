"""Which channels of a call are the customer's, and which lead to them."""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import NamedTuple

from tally.tables.families.call.state import Channel
from tally.tables.families.call.timeline import holds_of


class Served(NamedTuple):
    """What an operator's leg was called for."""

    queue: str
    """Empty where none called it."""
    interface: str


class Graph:
    """Who dialled whom in one call, through Local channels, which are two halves of one pipe."""

    def __init__(self, channels: dict[str, Channel]) -> None:
        self.channels = channels
        self._dialled: dict[str, list[str]] = defaultdict(list)
        for unique, channel in channels.items():
            for caller in channel.callers:
                self._dialled[caller].append(unique)
        self._other = _halves(channels)
        self._holds: dict[str, list[tuple[int, int]]] = {}
        self._last_us: dict[str, int] = {}
        self.served: dict[str, Served] = {}
        """By operator's leg, as `operator_legs.served` found it."""
        self.missed_by: dict[str, list[str]] = defaultdict(list)
        """Legs of operators who let a caller of a queue ring, by that caller."""
        for unique, channel in channels.items():
            for caller in channel.missed:
                self.missed_by[caller].append(unique)

    def holds(self, unique: str) -> list[tuple[int, int]]:
        """Return when a channel held the other side, read once: an operator's may serve hundreds of calls."""
        if unique not in self._holds:
            self._holds[unique] = holds_of(self.channels[unique])
        return self._holds[unique]

    def last_us(self, unique: str) -> int:
        """Return when a channel was last heard of, read once as well."""
        if unique not in self._last_us:
            self._last_us[unique] = self.channels[unique].last_us
        return self._last_us[unique]

    def other_half(self, unique: str) -> str | None:
        """Return the other half of a Local channel, if it was seen."""
        return self._other.get(unique)

    def dialled_by(self, unique: str) -> list[str]:
        """Return the channels that a channel dialled."""
        return self._dialled.get(unique, [])

    def first_half(self, unique: str) -> str:
        """Return the half of a Local channel that is dialled, and leads on; other channels are themselves."""
        channel = self.channels[unique]
        other = self.other_half(unique) if channel.is_local and channel.name.endswith(";2") else None
        return unique if other is None else other

    def legs(self, unique: str) -> tuple[list[str], set[str]]:
        """Return the channels that a channel leads to, and all Locals on the way there.

        A channel leads to itself; a Local one to whatever its other half dialled, to itself if it ended with
        nothing dialled: until then its dialplan may still dial.
        """
        found: dict[str, None] = {}
        passed: set[str] = set()
        self._follow(unique, found, passed)
        return list(found), passed | {*found, *self.both_halves(unique)}

    def _follow(self, root: str, found: dict[str, None], passed: set[str]) -> None:
        waiting = [root]
        while waiting:
            unique = waiting.pop()
            if unique in passed:
                continue
            dialled = self._behind(unique)
            if not dialled:
                channel = self.channels[unique]
                if channel.is_over or not channel.is_local:
                    found[unique] = None
                continue
            passed.update(self.both_halves(unique))
            waiting.extend(reversed(dialled))

    def _behind(self, unique: str) -> list[str]:
        channel = self.channels[unique]
        other = self.other_half(unique) if channel.is_local else None
        return self._dialled.get(other, []) if other else []

    def both_halves(self, unique: str) -> Iterable[str]:
        """Return a channel, and its other half if it is a Local one."""
        other = self.other_half(unique)
        return (unique,) if other is None else (unique, other)

    def second_legs(self, unique: str) -> tuple[list[str], set[str]]:
        """Return the channels that a first leg went on to dial, and what leads there (click-to-call)."""
        first, own = self.legs(unique)
        found: dict[str, None] = {}
        for caller in dict.fromkeys([unique, *first]):
            for dest in self._dialled.get(caller, []):
                legs, passed = self.legs(dest)
                found.update(dict.fromkeys(legs))
                own |= passed
        of_first = set(first)
        return [leg for leg in found if leg not in of_first], own

    def above(self, unique: str) -> Iterable[str]:
        """Return a channel, and those that led to it, nearest first: its callers and the halves of Locals."""
        seen: set[str] = set()
        waiting = deque([unique])
        while waiting:
            name = waiting.popleft()
            if name in seen or name not in self.channels:
                continue
            seen.add(name)
            yield name
            waiting.extend([*self.both_halves(name), *self.channels[name].callers])

    def nearest(self, sources: Iterable[str]) -> dict[str, str]:
        """Return for each channel that some of these led to the nearest, of equally near ones the smallest.

        A channel is the nearest to itself. This asks once for all channels, of which each has all before it
        above it.
        """
        level = {unique: unique for unique in sources}
        found = dict(level)
        while level:
            below: dict[str, str] = {}
            for unique, source in level.items():
                for leg in (*self.both_halves(unique), *self.dialled_by(unique)):
                    if leg not in found:
                        below[leg] = min(source, below.get(leg, source))
            found.update(below)
            level = below
        return found

    def first_above(self, sources: Iterable[str]) -> dict[str, str]:
        """Return for each channel that some of these led to the first one of them, in the order given."""
        found: dict[str, str] = {}
        for source in sources:
            waiting = [source]
            while waiting:
                unique = waiting.pop()
                if unique not in found:
                    found[unique] = source
                    waiting.extend((*self.both_halves(unique), *self.dialled_by(unique)))
        return found


def _halves(channels: dict[str, Channel]) -> dict[str, str]:
    """Return the other half of each Local channel: of the same name, and made in the same moment.

    Their numbers begin anew with Asterisk, so that one call may know several of one name.
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    for unique, channel in channels.items():
        if channel.is_local:
            by_name[channel.name].append(unique)
    other: dict[str, str] = {}
    for name, firsts in by_name.items():
        seconds = by_name.get(name[:-1] + "2", []) if name.endswith(";1") else []
        if seconds:
            made = sorted((channels[second].first.at_us, second) for second in seconds)
            for first in firsts:
                second = closest(made, channels[first].first.at_us)
                other[first], other[second] = second, first
    return other


def closest(made: list[tuple[int, str]], at_us: int) -> str:
    """Return what was made closest in time, of (time, name) in order; of equally close ones the smallest."""
    later = bisect_left(made, (at_us, ""))
    near = made[later : later + 1]
    if later:
        # The first of those that were made at the latest moment before.
        near.append(made[bisect_left(made, (made[later - 1][0], ""))])
    return min((abs(made_us - at_us), unique) for made_us, unique in near)[1]


def order_of(channel: Channel, unique: str) -> tuple[int, str]:
    """Order channels by when they were first seen."""
    return channel.first.at_us, unique


def customers(channels: dict[str, Channel], legs: list[str]) -> list[str]:
    """Return the legs that may be the customer's: whoever is dialled once one is up is somebody else."""
    up_us = min((at_us for leg in legs if (at_us := channels[leg].up_us) is not None), default=None)
    return legs if up_us is None else [leg for leg in legs if channels[leg].first.at_us <= up_us]


def customers_leg(channels: dict[str, Channel], legs: list[str]) -> str | None:
    """Return the leg that came up first; if none did, the one that was dialled last."""
    up = [
        (at_us, order_of(channels[unique], unique))
        for unique in legs
        if (at_us := channels[unique].up_us) is not None
    ]
    if up:
        return min(up)[1][1]
    return max(legs, key=lambda unique: order_of(channels[unique], unique), default=None)
