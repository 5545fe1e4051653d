"""A bound on the cost of `bridged`, from the sizes of a call's bridges alone.

Each channel that enters or leaves may affect all channels beside it, and a Local channel those on both of its
sides. So the bound is on the number of moves times the square of the number of channels.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from tally.schemas.bounds import CALL_CROWDS
from tally.tables.families.call.state import ENTER, LEAVE, Channel, moment_key

MOVES = (ENTER, LEAVE)
HALVES = (";1", ";2")


class Crowd(Struct):
    """The channels that were ever in some bridges, and how often they entered or left."""

    moves: int = 0
    channels: set[str] = field(default_factory=set)


def is_crowded(channels: Mapping[str, Channel]) -> bool:
    """Return whether the crowds of a call's bridges exceed the bound."""
    moves = sum(
        len(times)
        for channel in channels.values()
        for key, times in channel.moments.items()
        if key.startswith(MOVES)
    )
    if moves * len(channels) ** 2 <= CALL_CROWDS.most:
        return False  # nearly always, without a look at the bridges
    return sum(crowd.moves * len(crowd.channels) ** 2 for crowd in _crowds(channels)) > CALL_CROWDS.most


def _crowds(channels: Mapping[str, Channel]) -> Iterable[Crowd]:
    """Return the crowds of all bridges; bridges joined by a Local channel's halves are one crowd."""
    alone: dict[str, Crowd] = defaultdict(Crowd)
    first: dict[str, str] = {}
    by_local: dict[str, str] = {}
    for unique, channel in channels.items():
        bridges = []
        for key, times in channel.moments.items():
            if key.startswith(MOVES):
                bridges.append(bridge := moment_key(key).where)
                crowd = alone[bridge]
                crowd.moves += len(times)
                crowd.channels.add(unique)
        if bridges and channel.is_local and channel.name.endswith(HALVES):
            for bridge in bridges:
                other = by_local.setdefault(channel.name[:-2], bridge)
                first[_first(first, bridge)] = _first(first, other)
    for bridge in first:
        whole = _first(first, bridge)
        if whole != bridge:
            crowd = alone.pop(bridge)
            alone[whole].moves += crowd.moves
            alone[whole].channels |= crowd.channels
    return alone.values()


def _first(first: dict[str, str], bridge: str) -> str:
    """Return the representative of all bridges connected with this one (union-find)."""
    while (next_one := first.setdefault(bridge, bridge)) != bridge:
        first[bridge] = bridge = first[next_one]
    return bridge
