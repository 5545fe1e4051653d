"""Which channels belong to which attempt: by the ids of send results, and by their variables."""

from collections import defaultdict
from collections.abc import Mapping

from tally.schemas.call_facts import Role
from tally.tables.families.call.legs import Graph, order_of
from tally.tables.families.call.state import Asked, Call, Channel

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
    found: dict[Name, list[str]] = defaultdict(list)
    known: dict[str, Name] = {root: asked[key][1:] for key, root in roots.items()}
    for unique, channel in sorted(call.channels.items(), key=lambda item: order_of(item[1], item[0])):
        values = channel.variables
        if "campaign" not in values or "contact" not in values:
            continue
        whom = (values["campaign"][1], values["contact"][1])
        if "attempt" in values:
            known[unique] = (*whom, values["attempt"][1])
        elif known.get(unique, ())[:2] != whom:
            # Its callers' variables are its own, the attempt perhaps not among them.
            above = (known[caller] for caller in graph.above(unique) if caller in known)
            inherited = next((name for name in above if name[:2] == whom), None)
            known[unique] = inherited or (*whom, _closest(call, asked, whom, channel, roots))
        found[known[unique]].append(unique)
    return found


def _closest(
    call: Call, asked: Mapping[str, Name], whom: Name, channel: Channel, roots: Mapping[str, str]
) -> str:
    """Return the attempt of a channel without that variable: the contact's closest one without a channel."""
    at_ms = channel.first[0] // 1000
    of_contact = [
        (abs(first_ms(call.asked[key]) - at_ms), parts[3])
        for key, parts in asked.items()
        if parts[1:3] == whom and key not in roots
    ]
    return min(of_contact)[1] if of_contact else FIRST_ATTEMPT


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
