"""Which attempts a call was made for, and where their channels begin."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct, structs

from tally.schemas.call_facts import Role
from tally.schemas.keys import Template, split_parts
from tally.tables.families.call.legs import Graph, order_of
from tally.tables.families.call.state import Asked, Call, Channel
from tally.tables.families.recipient import RANKED

FIRST_ATTEMPT = "1"
BY_CHANNEL = ("channel_id", "unique_id", "linked_id")
"""Ids of send results that name a channel, the best one first."""


Name = tuple[str, ...]
"""Campaign, contact and attempt, with the tenant first where it is known."""


class Attempt(Struct, frozen=True):
    """One dial towards one customer, as far as it is known what it is called."""

    tenant: str
    campaign: str
    template: Template
    second: bool
    asked_ms: list[int]
    """When its send results were."""
    root: str | None
    """The channel that it begins with."""
    response: tuple[int, str, int] | None
    """The first OriginateResponse."""


def attempts_of(call: Call, graph: Graph) -> list[Attempt]:
    """Return all attempts of a call: those of send results, and those that only variables name."""
    asked = {key: tuple(split_parts(key.encode())) for key in call.asked}
    named = _named_channels(call, graph, asked)
    mine = _named_by(call, graph, asked, named)
    found = [
        _asked_attempt(call, parts[0], parts[1], call.asked[key], mine[key]) for key, parts in asked.items()
    ]
    found += _of_variables(call, graph, found, asked.values(), named)
    return [_with_response(call, attempt) for attempt in found]


def _named_by(
    call: Call, graph: Graph, asked: Mapping[str, Name], named: Mapping[Name, list[str]]
) -> dict[str, list[str]]:
    """Return by asked attempt the channels whose variables name it, and that no other's ids do."""
    roots = {key: root for key, one in call.asked.items() if (root := _root_by_id(call, one))}
    claims = {unique: key for key, root in roots.items() for unique in graph.legs(root)[1]}
    mine: dict[str, list[str]] = {}
    for key, parts in asked.items():
        tenants = sorted(other[0] for other in asked.values() if other[1:] == parts[1:])
        mine[key] = [
            unique
            for unique in named.get(parts[1:], [])
            if claims.get(unique, key) == key and _owner(call, unique, tenants) == parts[0]
        ]
    return mine


def _of_variables(
    call: Call,
    graph: Graph,
    found: list[Attempt],
    asked: Collection[Name],
    named: Mapping[Name, list[str]],
) -> Iterator[Attempt]:
    """Yield the attempts that no send result names.

    Asterisk drops quotes and backslashes of a variable: its ids may be an attempt's without being equal, so
    that channels which an attempt has already make no further one.
    """
    taken = {unique for one in found if one.root for unique in graph.legs(one.root)[1]}
    for name, uniques in named.items():
        tenant = _tenant(call, uniques) if taken.isdisjoint(uniques) else ""
        if tenant and (tenant, *name) not in asked:
            script = Template(_variable(call, uniques, "script"))
            yield Attempt(tenant, name[0], script, False, [], uniques[0], None)


def _root_by_id(call: Call, asked: Asked) -> str | None:
    """Return the channel that a send result names itself, or whose OriginateResponse has its ActionID."""
    by_id = [value for wanted in BY_CHANNEL for name, value in asked.ids if name == wanted]
    responses = sorted(call.responses[value] for name, value in asked.ids if value in call.responses)
    candidates = [*by_id, *(response[1] for response in responses)]
    return next((unique for unique in candidates if unique in call.channels), None)


def _owner(call: Call, unique: str, tenants: list[str]) -> str:
    """Return whose attempt a channel is, of the tenants that have one of its name."""
    if explicit := _variable(call, [unique], "tenant"):
        return explicit
    told = _tenant(call, [unique])
    return told if told in tenants else tenants[0]


def _named_channels(call: Call, graph: Graph, asked: Mapping[str, Name]) -> dict[Name, list[str]]:
    """Return by (campaign, contact, attempt) the channels whose variables name them, the first one first."""
    found: dict[Name, list[str]] = defaultdict(list)
    attempts: dict[str, tuple[str, str, str]] = {}
    for unique, channel in sorted(call.channels.items(), key=lambda item: order_of(item[1], item[0])):
        values = channel.variables
        if "campaign" in values and "contact" in values:
            campaign, contact = values["campaign"][1], values["contact"][1]
            if "attempt" in values:
                attempt = values["attempt"][1]
            else:
                # Its callers' variables are its own, the attempt perhaps not among them.
                above = (attempts[caller] for caller in graph.above(unique) if caller in attempts)
                inherited = next((name[2] for name in above if name[:2] == (campaign, contact)), None)
                attempt = inherited or _closest(call, asked, campaign, contact, channel)
            attempts[unique] = (campaign, contact, attempt)
            found[campaign, contact, attempt].append(unique)
    return found


def _closest(call: Call, asked: Mapping[str, Name], campaign: str, contact: str, channel: Channel) -> str:
    """Return the attempt of a channel without that variable: the contact's closest one in time."""
    at_ms = channel.first[0] // 1000
    of_contact = [
        (abs(_first_ms(call.asked[key]) - at_ms), parts[3])
        for key, parts in asked.items()
        if parts[1:3] == (campaign, contact)
    ]
    return min(of_contact)[1] if of_contact else FIRST_ATTEMPT


def _first_ms(asked: Asked) -> int:
    return min(at_ms for at_ms, _ in asked.results.values())


def _asked_attempt(call: Call, tenant: str, campaign: str, asked: Asked, named: list[str]) -> Attempt:
    outcome = next(outcome for outcome in RANKED if outcome in asked.results)
    by_id = [value for wanted in BY_CHANNEL for name, value in asked.ids if name == wanted]
    root = next((unique for unique in [*by_id, *named] if unique in call.channels), None)
    responses = [call.responses[value] for name, value in asked.ids if value in call.responses]
    response = min(responses, default=None)
    if root is None and response and response[1] in call.channels:
        root = response[1]
    times = [at_ms for at_ms, _ in asked.results.values()]
    return Attempt(tenant, campaign, asked.results[outcome][1], asked.second, times, root, response)


def _with_response(call: Call, attempt: Attempt) -> Attempt:
    """Add the OriginateResponse that names the attempt's first channel, where no ActionID did."""
    if attempt.response is not None or attempt.root is None:
        return attempt
    named = [response for response in call.responses.values() if response[1] == attempt.root]
    return structs.replace(attempt, response=min(named)) if named else attempt


def _variable(call: Call, uniques: list[str], role: Role) -> str:
    """Return the first channel's value of a variable; empty without one."""
    values = (call.channels[unique].variables.get(role) for unique in uniques)
    return next((value[1] for value in values if value), "")


def _tenant(call: Call, uniques: list[str]) -> str:
    roles: tuple[Role, ...] = ("tenant", "tenant_field", "tenant_header")
    return next((value for role in roles if (value := _variable(call, uniques, role))), "")
