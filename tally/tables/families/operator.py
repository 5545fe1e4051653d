"""The family of operators: human call-centre agents by PBX and interface, as their PBX describes them now.

An operator's row has no campaign; its template is (PBX, interface). The latest description of each queue
membership holds, so the row shows the present. Calls add their own counters to the same row.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tally.schemas.bounds import OPERATOR_QUEUES, Bound
from tally.schemas.call_facts import OPERATOR, MemberSeen, OperatorFact, Resynced
from tally.schemas.cells import NO_QUARTER, Cell
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template, join_parts, split_parts
from tally.schemas.notices import Scope
from tally.schemas.operator_row import Membership, membership_counts
from tally.tables.contribution import Counts, Part
from tally.tables.families.family import PlainFamily, Resyncable, ordered
from tally.tables.rules import Rules


class MembershipSeen(Struct, frozen=True, array_like=True, order=True):
    """The latest description of an operator in one queue; of two at one moment the greater one holds."""

    at_us: int
    tenant: str
    name: str
    status: int
    paused: bool
    reason: str
    in_call: bool
    last_call_s: int
    wrapup_s: int
    removed: bool
    vanished: bool = False
    """Whether the latest resync is later than `at_us`. It is not in any fact, but set after each merge."""


class Operator(Struct, frozen=True, array_like=True):
    """Everything known of one operator's memberships."""

    interface: str
    queues: dict[str, MembershipSeen]
    is_beyond: bool = False
    """Whether there were more queues than the bound; then `queues` is empty."""


_state_decoder = msgspec.msgpack.Decoder(Operator)
_fact_decoder: msgspec.msgpack.Decoder[OperatorFact] = msgspec.msgpack.Decoder(OperatorFact)


class OperatorFamily(PlainFamily[OperatorFact, Operator], Resyncable[OperatorFact, Operator]):
    """The family of operators; a resync is about all operators of a PBX."""

    code = OPERATOR
    table = "operators"
    decode_fact = staticmethod(_fact_decoder.decode)
    decode = staticmethod(_state_decoder.decode)

    def subject(self, key: bytes, fact: OperatorFact) -> bytes:
        return key + b"/" + join_parts(_about_one(fact).interface)

    def merge(self, state: Operator | None, facts: Sequence[OperatorFact]) -> Operator:
        known = [_of(_about_one(fact)) for fact in facts]
        return _join_all(known if state is None else [state, *known])

    def beyond(self, state: Operator) -> Bound | None:
        return OPERATOR_QUEUES if state.is_beyond else None

    def resync_us(self, fact: OperatorFact) -> int | None:
        return fact.at_us if isinstance(fact, Resynced) else None

    def resynced(self, state: Operator, at_us: int) -> Operator:
        queues = {
            queue: msgspec.structs.replace(known, vanished=known.at_us < at_us)
            for queue, known in state.queues.items()
        }
        return msgspec.structs.replace(state, queues=queues)

    def is_open(self, state: Operator) -> bool:
        return any(not known.vanished for known in state.queues.values())

    def named(self, key: bytes, fact: OperatorFact) -> Sequence[Scope]:
        return [(fact.tenant, "")] if isinstance(fact, MemberSeen) and fact.tenant else ()

    def contribution(self, key: bytes, state: Operator, rules: Rules) -> list[Part]:
        current = {queue: known for queue, known in state.queues.items() if not known.vanished}
        if not current:
            return []
        template = Template(split_parts(key.partition(b"/")[0])[0], state.interface)
        times = [known.at_us // 1000 for known in state.queues.values()]
        return [
            Part(
                Cell(RowKey(tenant, "", template), "", "", NO_QUARTER),
                _counts(current, tenant),
                min(times),
                max(times),
            )
            for tenant in sorted({known.tenant for known in current.values()})
        ]


def _about_one(fact: OperatorFact) -> MemberSeen:
    if isinstance(fact, Resynced):
        raise TypeError("a resync is about all operators of a PBX")
    return fact


def _of(fact: MemberSeen) -> Operator:
    """Return the state of an operator with only this fact."""
    known = MembershipSeen(
        fact.at_us,
        fact.tenant,
        fact.name,
        fact.status,
        fact.paused,
        fact.reason,
        fact.in_call,
        fact.last_call_s,
        fact.wrapup_s,
        fact.removed,
    )
    return Operator(fact.interface, {fact.queue: known})


def _join_all(states: Sequence[Operator]) -> Operator:
    if any(state.is_beyond for state in states):
        return Operator(states[0].interface, {}, is_beyond=True)
    queues: dict[str, MembershipSeen] = {}
    for state in states:
        for queue, membership in state.queues.items():
            known = msgspec.structs.replace(membership, vanished=False)
            queues[queue] = max(known, queues.get(queue, known))
    if len(queues) > OPERATOR_QUEUES.most:
        return Operator(states[0].interface, {}, is_beyond=True)
    return Operator(states[0].interface, ordered(queues))


def _counts(current: dict[str, MembershipSeen], tenant: str) -> Counts:
    """Return the counters that one tenant may see of an operator: those of its own queues only."""
    of_tenant = {queue: known for queue, known in current.items() if known.tenant == tenant}
    shown = [_shown(queue, known) for queue, known in of_tenant.items() if not known.removed]
    return membership_counts(max(of_tenant.values()).name, shown)


def _shown(queue: str, known: MembershipSeen) -> Membership:
    return Membership(
        queue,
        known.status,
        known.at_us // 1000,
        int(known.in_call),
        known.last_call_s,
        known.wrapup_s,
        known.reason if known.paused else None,
    )
