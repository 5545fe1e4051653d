"""The family of calls: channels joined with the send results of their attempts, and their counters."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tally.schemas.bounds import CALL_CROWDS, CALL_MEMBERS, Bound
from tally.schemas.call_facts import CALL, CallFact, ChannelsSeen, Dialled, Originated, Resynced, Role
from tally.schemas.keys import split_parts
from tally.schemas.notices import ANY_CAMPAIGN, Scope
from tally.schemas.waiting import Caller, encode_since
from tally.tables.contribution import Part
from tally.tables.families.call.attempts import attempts_of
from tally.tables.families.call.cells import happened_of, send_cell
from tally.tables.families.call.counting import counts_of
from tally.tables.families.call.crowds import is_crowded
from tally.tables.families.call.dial_graph import Graph
from tally.tables.families.call.from_facts import base_of, call_of, half_named, identifiers_of
from tally.tables.families.call.lines import lines_of
from tally.tables.families.call.merge import join_channels, joined, names_of
from tally.tables.families.call.operator_legs import operator_parts
from tally.tables.families.call.places import places_of
from tally.tables.families.call.queueing import may_wait, waiting_of
from tally.tables.families.call.result import CallResult, results_of
from tally.tables.families.call.state import Call
from tally.tables.families.family import ConnectedFamily, Listing, Placed, Resyncable, earliest
from tally.tables.line import Line
from tally.tables.rules import Rules

_state_decoder = msgspec.msgpack.Decoder(Call)
_fact_decoder: msgspec.msgpack.Decoder[CallFact] = msgspec.msgpack.Decoder(CallFact)

TENANT_ROLES: tuple[Role, ...] = ("tenant_bound", "tenant", "tenant_field", "tenant_header")


class CallFamily(ConnectedFamily[CallFact, Call], Resyncable[CallFact, Call], Listing[CallFact, Call]):
    """The family of calls; a state's key is the PBX and the call's smallest identifier."""

    code = CALL
    table = "calls"
    decode_fact = staticmethod(_fact_decoder.decode)
    decode = staticmethod(_state_decoder.decode)

    def subjects(self, key: bytes, fact: CallFact) -> Sequence[bytes]:
        return [key + b"/" + identifier for identifier in identifiers_of(fact)]

    def members(self, key: bytes, state: Call) -> Sequence[bytes]:
        pbx, _, _ = key.partition(b"/")
        return [pbx + b"/" + identifier for identifier in state.identifiers]

    def half_named(self, key: bytes, fact: CallFact) -> Sequence[bytes]:
        return [key + b"/u" + unique.encode() for unique in half_named(fact)]

    def named_together(
        self, subject: bytes, facts: Sequence[CallFact], state: Call | None
    ) -> Sequence[bytes]:
        pbx, _, identifier = subject.partition(b"/")
        unique = identifier[1:].decode()
        calls = [call_of(fact) for fact in facts] + ([] if state is None else [state])
        shown = [call.channels[unique] for call in calls if unique in call.channels]
        return [pbx + b"/" + name for name in names_of(join_channels(shown))]

    def merge(self, state: Call | None, facts: Sequence[CallFact]) -> Call:
        base = earliest(base_of(facts), None if state is None else state.base)
        known = [call_of(fact, base) for fact in facts]
        return joined(known if state is None else [state, *known])

    def join(self, states: Sequence[Call]) -> Call:
        return joined(states)

    def beyond(self, state: Call) -> Bound | None:
        if state.is_beyond:
            return CALL_MEMBERS
        return CALL_CROWDS if is_crowded(state.channels) else None

    def named(self, key: bytes, fact: CallFact) -> Sequence[Scope]:
        if isinstance(fact, Dialled):
            return [(fact.tenant, fact.campaign)]
        if isinstance(fact, Originated):
            return [(fact.bound, ANY_CAMPAIGN)] if fact.bound else ()
        if not isinstance(fact, ChannelsSeen):
            return ()
        return [scope for channel in fact.channels for scope in _named(channel.variables)]

    def owners(self, state: Call) -> Sequence[Scope]:
        bound = {one.bound for one in state.responses.values() if one.bound}
        bound |= {one.value for it in state.channels.values() if (one := it.variables.get("tenant_bound"))}
        return [(tenant, ANY_CAMPAIGN) for tenant in sorted(bound)]

    def resync_us(self, fact: CallFact) -> int | None:
        return fact.at_us if isinstance(fact, Resynced) else None

    def resynced(self, state: Call, at_us: int) -> Call:
        changed = {
            unique: msgspec.structs.replace(channel, vanished=not channel.vanished)
            for unique, channel in state.channels.items()
            if channel.vanished != (channel.hangup is None and channel.last_us < at_us)
        }
        if not changed:
            return state
        return msgspec.structs.replace(state, channels=state.channels | changed)

    def is_open(self, state: Call) -> bool:
        return any(not channel.is_over for channel in state.channels.values())

    def places(self, state: Call) -> Iterator[Placed]:
        return places_of(state)

    def contribution(self, key: bytes, state: Call, rules: Rules) -> list[Part]:
        """Return the parts of each attempt and of the operators who took it; a crowded call has none."""
        if is_crowded(state.channels):
            return []
        graph = Graph(state.channels)
        return _parts(key, graph, results_of(graph, attempts_of(state, graph)), rules)

    def lines(self, key: bytes, state: Call, rules: Rules) -> list[Line]:
        if is_crowded(state.channels):
            return []
        graph = Graph(state.channels)
        results = results_of(graph, attempts_of(state, graph))
        return lines_of(state, results, _parts(key, graph, results, rules))

    def listed(self, key: bytes, state: Call) -> dict[bytes, bytes]:
        """Return the callers of the call who wait in a queue, with the time of their join."""
        if not any(may_wait(channel) for channel in state.channels.values()) or is_crowded(state.channels):
            return {}
        pbx = split_parts(key.partition(b"/")[0])[0]
        graph = Graph(state.channels)
        return {
            Caller(result.attempt.tenant, pbx, one.queue, one.unique).encode(): encode_since(
                one.since_us // 1000
            )
            for result in results_of(graph, attempts_of(state, graph))
            for one in waiting_of(graph, result)
        }


def _parts(key: bytes, graph: Graph, results: Sequence[CallResult], rules: Rules) -> list[Part]:
    pbx = split_parts(key.partition(b"/")[0])[0]
    parts = []
    for result in results:
        if result.attempt.campaign:
            parts.append(_part(graph, result, pbx, rules))
        parts += operator_parts(graph, result, pbx)
    return [part for part in parts if part.counts]


def _part(graph: Graph, result: CallResult, pbx: str, rules: Rules) -> Part:
    attempt = result.attempt
    own = [unique for unique in result.own if unique in graph.channels]
    times = [*attempt.asked_ms, *(graph.channels[unique].first.at_us // 1000 for unique in own)]
    times += [graph.last_us(unique) // 1000 for unique in own]
    if attempt.response:
        times.append(attempt.response.at_us // 1000)
    counts = counts_of(graph, result, rules)
    return Part(
        send_cell(graph, result, pbx),
        counts,
        min(times),
        max(times),
        channel="voice",
        happened=happened_of(graph, result, counts),
        of=attempt.of,
    )


def _named(variables: Mapping[Role, str]) -> list[Scope]:
    """Return the tenants and campaigns that a channel may belong to, by its variables.

    A campaign without a tenant may belong to any tenant. Without a campaign, only the tenant that the PBX is
    bound to is certain.
    """
    if "campaign" not in variables:
        return [(variables["tenant_bound"], ANY_CAMPAIGN)] if "tenant_bound" in variables else []
    tenants = {variables[role] for role in TENANT_ROLES if role in variables}
    return [(tenant, variables["campaign"]) for tenant in sorted(tenants)] or [("", "")]
