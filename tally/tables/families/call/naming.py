"""Which channels belong to which attempt: by the ids of send results, and by their variables."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from tally.schemas.call_facts import Role
from tally.tables.families.call.legs import Graph, order_of
from tally.tables.families.call.state import Asked, Call

FIRST_ATTEMPT = "1"
BY_CHANNEL = ("channel_id", "unique_id", "linked_id")
"""Ids of send results that name a channel, the best one first."""

Name = tuple[str, ...]
"""Campaign, contact and attempt, with the tenant first where it is known."""


def roots_by_id(call: Call, graph: Graph) -> dict[str, str]:
    """Return by asked attempt the channel that its ids name; a channel is the first asked attempt's."""
    roots: dict[str, str] = {}
    taken: set[str] = set()
    for key in sorted(call.asked, key=lambda key: (first_ms(call.asked[key]), key)):
        root = _root_by_id(call, call.asked[key])
        if root is not None and (first := graph.first_half(root)) not in taken:
            roots[key] = first
            taken.add(first)
    return roots


def channels_named(call: Call, graph: Graph, asked: Asked) -> set[str]:
    """Return the channels that an attempt's ids name themselves, not only by its ActionID."""
    uniques = (value for name, value in asked.ids if name in BY_CHANNEL)
    return {graph.first_half(unique) for unique in uniques if unique in call.channels}


def _root_by_id(call: Call, asked: Asked) -> str | None:
    """Return the channel that a send result names itself, or whose OriginateResponse has its ActionID."""
    by_id = [value for wanted in BY_CHANNEL for name, value in asked.ids if name == wanted]
    responses = sorted(call.responses[value] for name, value in asked.ids if value in call.responses)
    candidates = [*by_id, *(response[1] for response in responses)]
    return next((unique for unique in candidates if unique in call.channels), None)


def named_channels(
    call: Call, graph: Graph, asked: Mapping[str, Name], roots: Mapping[str, str]
) -> dict[Name, list[str]]:
    """Return by (campaign, contact, attempt) the channels whose variables name them, the first one first."""
    told = _told(call, asked, roots)
    found: dict[Name, list[str]] = defaultdict(list)
    for unique, channel in sorted(call.channels.items(), key=lambda item: order_of(item[1], item[0])):
        if whom := channel.whom:
            found[_name_of(call, graph, asked, told, unique, whom)].append(unique)
    return found


def _name_of(
    call: Call, graph: Graph, asked: Mapping[str, Name], told: Mapping[str, Name], unique: str, whom: Name
) -> Name:
    """Return the attempt of a channel: its own, its callers', or the one asked for closest in time."""
    own = told.get(unique, ())
    if own[:2] == whom:
        return own
    # Its callers' variables are its own, the attempt perhaps not among them.
    above = list(graph.above(unique))
    names = (told[caller] for caller in above if caller in told)
    inherited = next((name for name in names if name[:2] == whom), None)
    return inherited or (*whom, _closest(call, asked, whom, above))


def _told(call: Call, asked: Mapping[str, Name], roots: Mapping[str, str]) -> dict[str, Name]:
    """Return the channels whose attempt is known, by an id or by their own variables."""
    told: dict[str, Name] = {root: asked[key][1:] for key, root in roots.items()}
    for unique, channel in call.channels.items():
        if (whom := channel.whom) and "attempt" in channel.variables:
            told[unique] = (*whom, channel.variables["attempt"][1])
    return told


def _closest(call: Call, asked: Mapping[str, Name], whom: Name, uniques: Collection[str]) -> str:
    """Return the contact's attempt that was asked for closest in time to the first of its channels here."""
    of_contact = [(first_ms(call.asked[key]), parts[3]) for key, parts in asked.items() if parts[1:3] == whom]
    if not of_contact:
        return FIRST_ATTEMPT
    channels = (call.channels[unique] for unique in uniques)
    begun_us = min(channel.first[0] for channel in channels if channel.whom == whom)
    return min((abs(at_ms * 1000 - begun_us), attempt) for at_ms, attempt in of_contact)[1]


def named_by(
    call: Call,
    graph: Graph,
    asked: Mapping[str, Name],
    named: Mapping[Name, list[str]],
    roots: Mapping[str, str],
) -> dict[str, list[str]]:
    """Return by asked attempt the channels whose variables name it, and that no other's ids do."""
    claims = {unique: key for key, root in roots.items() for unique in graph.legs(root)[1]}
    tenants: dict[Name, list[str]] = defaultdict(list)
    for parts in sorted(asked.values()):
        tenants[parts[1:]].append(parts[0])
    mine: dict[str, list[str]] = {}
    for key, parts in asked.items():
        mine[key] = [
            unique
            for unique in named.get(parts[1:], [])
            if claims.get(unique, key) == key and _owner(call, unique, tenants[parts[1:]]) == parts[0]
        ]
    return mine


def _owner(call: Call, unique: str, tenants: list[str]) -> str:
    """Return whose attempt a channel is, of the tenants that have one of its name."""
    told = tenant_of(call, [unique])
    return told if told in tenants else tenants[0]


def variable_of(call: Call, uniques: list[str], role: Role) -> str:
    """Return the first channel's value of a variable; empty without one."""
    values = (call.channels[unique].variables.get(role) for unique in uniques)
    return next((value[1] for value in values if value), "")


def tenant_of(call: Call, uniques: list[str]) -> str:
    """Return whose channels these are, as far as they say; empty if they don't."""
    roles: tuple[Role, ...] = ("tenant", "tenant_field", "tenant_header")
    return next((value for role in roles if (value := variable_of(call, uniques, role))), "")


def first_ms(asked: Asked) -> int:
    """Return when an attempt was first told of."""
    return min(at_ms for at_ms, _ in asked.results.values())
