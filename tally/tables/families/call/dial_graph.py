"""The dial graph of a call: which channels are the customer's, and which lead to them."""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import NamedTuple

from tally.tables.families.call.state import Channel
from tally.tables.families.call.timeline import entered_us, holds_of


class Served(NamedTuple):
    """The queue and interface that an operator's leg was called for."""

    queue: str
    """Empty if no queue called it."""
    interface: str


class Graph:
    """The dials between the channels of one call. A Local channel is two halves of one pipe."""

    def __init__(self, channels: dict[str, Channel]) -> None:
        self.channels = channels
        self._dialled: dict[str, list[str]] = defaultdict(list)
        for unique, channel in channels.items():
            for caller in channel.callers:
                self._dialled[caller].append(unique)
        self._other = _halves(channels)
        self._holds: dict[str, list[tuple[int, int]]] = {}
        self._last_us: dict[str, int] = {}
        self._taken_us: dict[str, int | None] = {}
        self.served: dict[str, Served] = {}
        """A cache of `operator_legs.served`, by operator's leg."""
        self.missed_by: dict[str, list[str]] = defaultdict(list)
        """The legs of operators who let a queue's caller ring, by caller."""
        for unique, channel in channels.items():
            for caller in channel.missed:
                self.missed_by[caller].append(unique)

    def holds(self, unique: str) -> list[tuple[int, int]]:
        """Return a channel's spans of hold, cached: an operator's channel may serve hundreds of calls."""
        if unique not in self._holds:
            self._holds[unique] = holds_of(self.channels[unique])
        return self._holds[unique]

    def last_us(self, unique: str) -> int:
        """Return when a channel was last heard of, cached as well."""
        if unique not in self._last_us:
            self._last_us[unique] = self.channels[unique].last_us
        return self._last_us[unique]

    def taken_us(self, unique: str) -> int | None:
        """Return when a channel that this one leads to, and no Local one, first entered a bridge, cached."""
        if unique not in self._taken_us:
            entered = (entered_us(self.channels[leg]) for leg in self.ends(unique))
            self._taken_us[unique] = min((at_us for at_us in entered if at_us is not None), default=None)
        return self._taken_us[unique]

    def ends(self, unique: str) -> list[str]:
        """Return the channels that a channel leads to which are no Local ones."""
        return [leg for leg in self.legs(unique)[0] if not self.channels[leg].is_local]

    def other_half(self, unique: str) -> str | None:
        """Return the other half of a Local channel; None if it was not seen."""
        return self._other.get(unique)

    def dialled_by(self, unique: str) -> list[str]:
        """Return the channels that a channel dialled."""
        return self._dialled.get(unique, [])

    def first_half(self, unique: str) -> str:
        """Return the half of a Local channel that is dialled and leads on; any other channel, itself."""
        channel = self.channels[unique]
        other = self.other_half(unique) if channel.is_local and channel.name.endswith(";2") else None
        return unique if other is None else other

    def legs(self, unique: str) -> tuple[list[str], set[str]]:
        """Return the channels that a channel leads to, and all channels on the way, these included.

        An ordinary channel leads to itself. A Local channel leads to the channels that its other half
        dialled. If it dialled none, it leads to itself once it is over: until then its dialplan may dial.

            Local/x;1 = Local/x;2 ──dialled──► PJSIP/a   legs(Local/x;1) = [PJSIP/a, …]
                                  ──dialled──► Local/y;1 = Local/y;2 ──dialled──► …
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
        """Return a channel, and its other half if it has one."""
        other = self.other_half(unique)
        return (unique,) if other is None else (unique, other)

    def second_legs(self, unique: str) -> tuple[list[str], set[str]]:
        """Return the channels that a first leg dialled, and all channels on the way (click-to-call)."""
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
        """Yield a channel and those that led to it, nearest first: callers, and halves of Local channels."""
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
        """Return the nearest source above each channel that a source leads to; ties take the smallest.

        A source is the nearest to itself. One breadth-first search from all sources serves all channels: a
        search upwards from each channel would visit all channels above it.
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
        """Return, for each channel that a source leads to, the first such source in the given order."""
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
    """Return the other half of each Local channel: the one of the same name that was created closest in time.

    Asterisk numbers Local channels from the start again when it restarts, so one call may hold several of one
    name.
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
    """Return the name made closest in time; `made` is (time, name), sorted. Ties take the smallest name."""
    later = bisect_left(made, (at_us, ""))
    near = made[later : later + 1]
    if later:
        # The smallest name at the latest earlier time.
        near.append(made[bisect_left(made, (made[later - 1][0], ""))])
    return min((abs(made_us - at_us), unique) for made_us, unique in near)[1]


def order_of(channel: Channel, unique: str) -> tuple[int, str]:
    """Return the sort key of channels by the time when they were first seen."""
    return channel.first.at_us, unique


def customers(channels: dict[str, Channel], legs: list[str]) -> list[str]:
    """Return the legs that may be the customer's: a leg first seen after one came up is somebody else's."""
    up_us = min((at_us for leg in legs if (at_us := channels[leg].up_us) is not None), default=None)
    return legs if up_us is None else [leg for leg in legs if channels[leg].first.at_us <= up_us]


def customers_leg(channels: dict[str, Channel], legs: list[str]) -> str | None:
    """Return the leg that came up first; if none did, the one first seen last; None without legs."""
    up = [
        (at_us, order_of(channels[unique], unique))
        for unique in legs
        if (at_us := channels[unique].up_us) is not None
    ]
    if up:
        return min(up)[1][1]
    return max(legs, key=lambda unique: order_of(channels[unique], unique), default=None)
