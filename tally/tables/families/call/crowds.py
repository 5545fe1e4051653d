"""How many meet in the bridges of a call: what finding out who heard whom costs, bounded by size alone.

Each that enters or leaves may concern whoever is beside it, and a Local channel everybody on both of its
sides: so what is bounded is coming and going times the square of who is there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from tally.schemas.bounds import CALL_CROWDS
from tally.tables.families.call.state import ENTER, LEAVE, Channel, moment_key

MOVES = (ENTER, LEAVE)
HALVES = (";1", ";2")


class Crowd(Struct):
    """Who was ever in some bridges, and how often they came and went."""

    moves: int = 0
    channels: set[str] = field(default_factory=set)


def is_crowded(channels: Mapping[str, Channel]) -> bool:
    """Return whether more meet in a call's bridges than the bound."""
    moves = sum(
        len(times)
        for channel in channels.values()
        for key, times in channel.moments.items()
        if key.startswith(MOVES)
    )
    if moves * len(channels) ** 2 <= CALL_CROWDS.most:
        return False  # nearly always, and that is all it takes to know
    return sum(crowd.moves * len(crowd.channels) ** 2 for crowd in _crowds(channels)) > CALL_CROWDS.most


def _crowds(channels: Mapping[str, Channel]) -> Iterable[Crowd]:
    """Return the crowds of all bridges; those that the halves of one Local channel were in are one."""
    alone: dict[str, Crowd] = defaultdict(Crowd)
    first: dict[str, str] = {}
    by_local: dict[str, str] = {}
    for unique, channel in channels.items():
        bridges = []
        for key, times in channel.moments.items():
            if key.startswith(MOVES):
                bridges.append(bridge := moment_key(key).place)
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
    """Return the bridge that stands for all that are connected with this one."""
    while (next_one := first.setdefault(bridge, bridge)) != bridge:
        first[bridge] = bridge = first[next_one]
    return bridge
