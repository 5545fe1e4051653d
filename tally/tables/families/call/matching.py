"""Matching of channels to attempts, by the ids of send results and by channel variables."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tally.schemas.call_facts import Role
from tally.tables.families.call.dial_graph import Graph, closest, order_of
from tally.tables.families.call.state import NO_REASON, Call, Requested, response_key

FIRST_ATTEMPT = "1"
BY_CHANNEL = ("channel_id", "unique_id", "linked_id")
"""Ids of send results that name a channel, the most reliable first."""

Name = tuple[str, ...]
"""Campaign, contact and attempt, after the tenant if it is known."""


def roots_by_id(call: Call, graph: Graph) -> dict[str, str]:
    """Return the channel that each asked attempt's ids name; the attempt asked first takes a shared one."""
    roots: dict[str, str] = {}
    taken: set[str] = set()
    for key in sorted(call.asked, key=lambda key: (first_ms(call.asked[key]), key)):
        root = _root_by_id(call, call.asked[key])
        if root is not None and (first := graph.first_half(root)) not in taken:
            roots[key] = first
            taken.add(first)
    return roots


def channels_named(call: Call, graph: Graph, asked: Requested) -> set[str]:
    """Return the channels that an attempt's ids name directly, not by its ActionID."""
    uniques = (value for name, value in asked.ids if name in BY_CHANNEL)
    return {graph.first_half(unique) for unique in uniques if unique in call.channels}


def _root_by_id(call: Call, asked: Requested) -> str | None:
    """Return the channel that a send result names directly, else that of the OriginateResponse it names."""
    for wanted in BY_CHANNEL:
        named = [value for name, value in asked.ids if name == wanted and value in call.channels]
        if named:
            return min(named, key=lambda unique: order_of(call.channels[unique], unique))
    keys = (response_key(value, reason) for _, value in asked.ids for reason in (0, NO_REASON))
    responses = sorted(call.responses[key] for key in keys if key in call.responses)
    return next((one.unique for one in responses if one.unique in call.channels), None)


def named_channels(
    call: Call, graph: Graph, asked: Mapping[str, Name], roots: Mapping[str, str]
) -> dict[Name, list[str]]:
    """Return the channels whose variables name each (campaign, contact, attempt), by first sight."""
    identified = _identified(call, asked, roots)
    of_whom: dict[Name, list[str]] = defaultdict(list)
    in_order = sorted(call.channels.items(), key=lambda item: order_of(item[1], item[0]))
    for unique, channel in in_order:
        if whom := channel.whom:
            of_whom[whom].append(unique)
    sources: dict[Name, list[str]] = defaultdict(list)
    for unique, name in identified.items():
        sources[name[:2]].append(unique)
    asked_at: dict[Name, list[tuple[int, str]]] = defaultdict(list)
    for key, parts in asked.items():
        asked_at[parts[1:3]].append((first_ms(call.asked[key]) * 1000, parts[3]))
    names: dict[str, Name] = {}
    for whom, uniques in of_whom.items():
        known = graph.nearest(sources[whom]) if whom in sources else {}
        names.update((unique, identified[known[unique]]) for unique in uniques if unique in known)
        rest = [unique for unique in uniques if unique not in known]
        names.update(_closest_attempts(call, graph, whom, uniques, rest, sorted(asked_at.get(whom, ()))))
    found: dict[Name, list[str]] = defaultdict(list)
    for unique, _ in in_order:
        if unique in names:
            found[names[unique]].append(unique)
    return found


def _closest_attempts(
    call: Call, graph: Graph, whom: Name, uniques: list[str], rest: list[str], asked_at: list[tuple[int, str]]
) -> Iterator[tuple[str, Name]]:
    """Yield, for each channel in `rest`, the attempt that was asked for closest in time to its beginning.

    `uniques` are all channels of the contact, by first sight; `asked_at` is sorted.
    """
    # A channel begins with the contact's first channel that led to it.
    begun = graph.first_above(uniques) if rest and len(asked_at) > 1 else {}
    for unique in rest:
        if begun:
            yield unique, (*whom, closest(asked_at, call.channels[begun[unique]].first.at_us))
        else:
            yield unique, (*whom, asked_at[0][1] if asked_at else FIRST_ATTEMPT)


def _identified(call: Call, asked: Mapping[str, Name], roots: Mapping[str, str]) -> dict[str, Name]:
    """Return the attempts of the channels that an id, or the channel's own variables, identify."""
    identified: dict[str, Name] = {root: asked[key][1:] for key, root in roots.items()}
    for unique, channel in call.channels.items():
        if (whom := channel.whom) and "attempt" in channel.variables:
            identified[unique] = (*whom, channel.variables["attempt"].value)
    return identified


def named_by(
    call: Call,
    graph: Graph,
    asked: Mapping[str, Name],
    named: Mapping[Name, list[str]],
    roots: Mapping[str, str],
) -> dict[str, list[str]]:
    """Return the channels whose variables name each asked attempt, and that no other one's ids lead to."""
    claims: dict[str, set[str]] = defaultdict(set)
    for key, root in roots.items():
        for unique in graph.legs(root)[1]:
            claims[unique].add(key)
    tenants: dict[Name, list[str]] = defaultdict(list)
    for parts in sorted(asked.values()):
        tenants[parts[1:]].append(parts[0])
    mine: dict[str, list[str]] = {}
    for key, parts in asked.items():
        mine_alone = {key}
        mine[key] = [
            unique
            for unique in named.get(parts[1:], [])
            if claims.get(unique, mine_alone) == mine_alone
            and _owner(call, unique, tenants[parts[1:]]) == parts[0]
        ]
    return mine


def _owner(call: Call, unique: str, tenants: list[str]) -> str:
    """Return the owner of a channel, out of the tenants with an attempt of its name."""
    tenant = tenant_of(call, [unique])
    return tenant if tenant in tenants else tenants[0]


def variable_of(call: Call, uniques: list[str], role: Role) -> str:
    """Return the first value of a variable in these channels; empty if none has it."""
    values = (call.channels[unique].variables.get(role) for unique in uniques)
    return next((shown.value for shown in values if shown), "")


def tenant_of(call: Call, uniques: list[str]) -> str:
    """Return the tenant that these channels of an unbound call name; empty if they name none."""
    roles: tuple[Role, ...] = ("tenant", "tenant_field", "tenant_header")
    return next((value for role in roles if (value := variable_of(call, uniques, role))), "")


def first_ms(asked: Requested) -> int:
    """Return the time of an attempt's first send result, in unix ms."""
    return min(one.at_ms for one in asked.results.values())
