"""The attempts that a call was made for, and the first channel of each."""

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
from tally.tables.families.call.state import JOIN, NO_REASON, Call, Response, Shown
from tally.tables.families.recipient import RANKED


class Attempt(Struct, frozen=True):
    """One dial towards one customer, with the names known of it."""

    tenant: str
    campaign: str
    template: Template
    customer_is_second_leg: bool
    asked_ms: list[int]
    """The times of its send results, in unix ms."""
    root: str | None
    """Its first channel; None if unknown."""
    response: Response | None
    """Its first OriginateResponse that has a Reason; None if unknown."""
    has_action_id: bool = False
    """Whether it was asked for by ActionID, so that an OriginateResponse is to come."""
    market: str = ""
    """That of its highest-ranked outcome that has one; else empty."""
    contact: str = ""
    attempt: str = ""
    """Which attempt of the contact; empty, as the contact is, where nobody names it."""
    phone: str = ""
    """That of its highest-ranked outcome that has one, in digits; else empty."""
    of: str = ""
    """Tells it from the call's other attempts: its names from the tenant on, else its first channel."""


def attempts_of(call: Call, graph: Graph) -> list[Attempt]:
    """Return all attempts of a call: those of send results, and those that only channel variables name.

    A call without any has one attempt without a campaign for each caller of a queue.
    """
    bound = bound_tenant(call)
    call = _of_its_tenant(call, bound)
    asked = {key: tuple(split_parts(key.encode())) for key in call.asked}
    roots = roots_by_id(call, graph)
    named = named_channels(call, graph, asked, roots)
    mine = named_by(call, graph, asked, named, roots)
    found = [
        _asked_attempt(call, key, parts, _begins(call, graph, key, roots, mine[key]))
        for key, parts in asked.items()
    ]
    found += _of_variables(call, graph, found, asked.values(), named, bound)
    if not found:
        found += _of_queues(call, bound)
    by_channel = _responses_by_channel(call)
    return [_with_response(attempt, by_channel) for attempt in found]


def bound_tenant(call: Call) -> str:
    """Return the tenant that the whole call is bound to, by the first record that binds; empty if none does.

    Records of one PBX may bind to several tenants: when the header is changed during a call, or when
    collectors disagree. If each channel had its own owner, channels of one call would count for strangers.
    """
    bound = [
        *(shown for one in call.channels.values() if (shown := one.variables.get("tenant_bound"))),
        *(Shown(one.at_us, one.bound) for one in call.responses.values() if one.bound),
    ]
    return min(bound).value if bound else ""


def _of_its_tenant(call: Call, bound: str) -> Call:
    """Return a call with only the attempts of the tenant that it is bound to."""
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
    """Yield the attempts that only channel variables name, and no send result.

    Asterisk drops quotes and backslashes from variables, so the ids of one attempt may differ between its
    channels and its send result. Therefore channels that a found attempt leads to make no further attempt.
    All channels with the name of a send result belong to its attempt, regardless of the tenant they name.
    """
    taken = [unique for one in found if one.root for unique in graph.legs(one.root)[1]]
    led = graph.first_above(taken)
    taken_names = {parts[1:] for parts in asked}
    for name, uniques in named.items():
        free = [unique for unique in uniques if unique not in led]
        tenant = bound or tenant_of(call, free)
        if tenant and free and name not in taken_names:
            script = Template(variable_of(call, free, "script"))
            campaign, contact, attempt = name
            yield Attempt(
                tenant,
                campaign,
                script,
                False,
                [],
                _first(graph, free),
                None,
                contact=contact,
                attempt=attempt,
                of=join_parts(tenant, *name).decode(),
            )


def _of_queues(call: Call, bound: str) -> Iterator[Attempt]:
    """Yield one attempt for each caller of a queue in a call without campaign; it counts for operators."""
    for unique, channel in call.channels.items():
        if any(key.startswith(JOIN) for key in channel.moments) and (
            tenant := bound or tenant_of(call, [unique])
        ):
            yield Attempt(tenant, "", FREE_FORM, False, [], unique, None, of=join_parts(unique).decode())


def _first(graph: Graph, named: list[str]) -> str | None:
    """Return the first channel of a named attempt; of a Local channel, the half that was dialled."""
    return graph.first_half(named[0]) if named else None


def _begins(call: Call, graph: Graph, key: str, roots: Mapping[str, str], named: list[str]) -> str | None:
    """Return the first channel of an attempt with send results; None if unknown.

    In order of precedence: an id of the channel, variables with the attempt, its ActionID, other variables.
    """
    root = roots.get(key)
    if root is not None and root in channels_named(call, graph, call.asked[key]):
        return root
    says = [unique for unique in named if "attempt" in call.channels[unique].variables]
    return _first(graph, says) or root or _first(graph, named)


def _asked_attempt(call: Call, key: str, parts: Name, root: str | None) -> Attempt:
    asked = call.asked[key]
    responses = [call.responses[value] for name, value in asked.ids if value in call.responses]
    times = [one.at_ms for one in asked.results.values()]
    ranked = [one for outcome in RANKED if (one := asked.results.get(outcome))]
    return Attempt(
        parts[0],
        parts[1],
        ranked[0].template,
        asked.customer_is_second_leg,
        times,
        root,
        min(responses, default=None),
        any(name == "action_id" for name, _ in asked.ids),
        next((one.market for one in ranked if one.market), ""),
        contact=parts[2],
        attempt=parts[3],
        phone=next((one.phone for one in ranked if one.phone), ""),
        of=key,
    )


def _with_response(attempt: Attempt, by_channel: Mapping[str, Response]) -> Attempt:
    """Add the OriginateResponse of the attempt's first channel, if none has the attempt's ActionID."""
    if attempt.response is not None or attempt.root is None:
        return attempt
    return structs.replace(attempt, response=by_channel.get(attempt.root))


def _responses_by_channel(call: Call) -> dict[str, Response]:
    found: dict[str, Response] = {}
    for response in call.responses.values():
        if response.reason == NO_REASON:
            continue
        found[response.unique] = min(response, found.get(response.unique, response))
    return found
