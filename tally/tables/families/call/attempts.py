"""Which attempts a call was made for, and where their channels begin."""

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct, structs

from tally.schemas.keys import FREE_FORM, Template, join_parts, split_parts
from tally.tables.families.call.dial_graph import Graph
from tally.tables.families.call.matching import (
    Name,
    channels_named,
    named_by,
    named_channels,
    roots_by_id,
    tenant_of,
    variable_of,
)
from tally.tables.families.call.state import JOIN, Call, Requested, Response, Shown
from tally.tables.families.recipient import RANKED


class Attempt(Struct, frozen=True):
    """One dial towards one customer, as far as it is known what it is called."""

    tenant: str
    campaign: str
    template: Template
    customer_is_second_leg: bool
    asked_ms: list[int]
    """When its send results were."""
    root: str | None
    """The channel that it begins with."""
    response: Response | None
    """The first OriginateResponse."""


def attempts_of(call: Call, graph: Graph) -> list[Attempt]:
    """Return all attempts of a call: those of send results, and those that only variables name."""
    bound = bound_tenant(call)
    call = _of_its_tenant(call, bound)
    asked = {key: tuple(split_parts(key.encode())) for key in call.asked}
    roots = roots_by_id(call, graph)
    named = named_channels(call, graph, asked, roots)
    mine = named_by(call, graph, asked, named, roots)
    found = [
        _asked_attempt(call, parts, call.asked[key], _begins(call, graph, key, roots, mine[key]))
        for key, parts in asked.items()
    ]
    found += _of_variables(call, graph, found, asked.values(), named, bound)
    if not found:
        found += _of_queues(call, bound)
    by_channel = _responses_by_channel(call)
    return [_with_response(attempt, by_channel) for attempt in found]


def bound_tenant(call: Call) -> str:
    """Return the tenant that all of a call is bound to, by the first record that binds; empty without one.

    Records of one PBX bind to several tenants where its header is changed during a call, or where its
    collectors disagree. With owners of their own, channels of one call would count for strangers.
    """
    bound = [
        *(shown for one in call.channels.values() if (shown := one.variables.get("tenant_bound"))),
        *(Shown(one.at_us, one.bound) for one in call.responses.values() if one.bound),
    ]
    return min(bound).value if bound else ""


def _of_its_tenant(call: Call, bound: str) -> Call:
    """Return a call with the attempts of that tenant alone which it is bound to."""
    if not bound:
        return call
    mine = join_parts(bound).decode() + "/"
    return structs.replace(call, asked={key: one for key, one in call.asked.items() if key.startswith(mine)})


def _of_variables(
    call: Call,
    graph: Graph,
    found: list[Attempt],
    asked: Collection[Name],
    named: Mapping[Name, list[str]],
    bound: str,
) -> Iterator[Attempt]:
    """Yield the attempts that no send result names.

    Asterisk drops quotes and backslashes of a variable: its ids may be an attempt's without being equal, so
    that channels which an attempt's lead to make no further one. All channels of a name that a send result
    has are that attempt's, whatever tenant they name.
    """
    taken = [unique for one in found if one.root for unique in graph.legs(one.root)[1]]
    led = graph.first_above(taken)
    taken_names = {parts[1:] for parts in asked}
    for name, uniques in named.items():
        free = [unique for unique in uniques if unique not in led]
        tenant = bound or tenant_of(call, free)
        if tenant and free and name not in taken_names:
            script = Template(variable_of(call, free, "script"))
            yield Attempt(tenant, name[0], script, False, [], _first(graph, free), None)


def _of_queues(call: Call, bound: str) -> Iterator[Attempt]:
    """Yield the callers of queues in a call of no campaign: they count for the operators who took them."""
    for unique, channel in call.channels.items():
        if any(key.startswith(JOIN) for key in channel.moments) and (
            tenant := bound or tenant_of(call, [unique])
        ):
            yield Attempt(tenant, "", FREE_FORM, False, [], unique, None)


def _first(graph: Graph, named: list[str]) -> str | None:
    """Return where a named attempt begins, of a Local channel with the half that was dialled."""
    return graph.first_half(named[0]) if named else None


def _begins(call: Call, graph: Graph, key: str, roots: Mapping[str, str], named: list[str]) -> str | None:
    """Return an asked attempt's first channel.

    An id of the channel names it best, then variables that name the attempt, its ActionID, other variables.
    """
    root = roots.get(key)
    if root is not None and root in channels_named(call, graph, call.asked[key]):
        return root
    says = [unique for unique in named if "attempt" in call.channels[unique].variables]
    return _first(graph, says) or root or _first(graph, named)


def _asked_attempt(call: Call, parts: Name, asked: Requested, root: str | None) -> Attempt:
    outcome = next(outcome for outcome in RANKED if outcome in asked.results)
    responses = [call.responses[value] for name, value in asked.ids if value in call.responses]
    times = [one.at_ms for one in asked.results.values()]
    return Attempt(
        parts[0],
        parts[1],
        asked.results[outcome].template,
        asked.customer_is_second_leg,
        times,
        root,
        min(responses, default=None),
    )


def _with_response(attempt: Attempt, by_channel: Mapping[str, Response]) -> Attempt:
    """Add the OriginateResponse that names the attempt's first channel, where no ActionID did."""
    if attempt.response is not None or attempt.root is None:
        return attempt
    return structs.replace(attempt, response=by_channel.get(attempt.root))


def _responses_by_channel(call: Call) -> dict[str, Response]:
    found: dict[str, Response] = {}
    for response in call.responses.values():
        found[response.unique] = min(response, found.get(response.unique, response))
    return found
