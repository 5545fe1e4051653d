"""A PBX bound to a tenant changes rows of this tenant only, whatever its events and sends say."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.grains import RowKey
from tally.schemas.sources import READERS
from tally.tables.rules import Rules
from tests.support.call_packets import (
    Channel,
    Event,
    agent,
    ami,
    answers,
    born,
    dial,
    enter,
    hangup,
    leave,
    queue,
    response,
    send,
)
from tests.support.partition import MemoryPartition

CHANNELS = st.sampled_from([Channel("a"), Channel("b", "PJSIP/201-00000007", "a"), Channel("c")])
VARIABLES = st.lists(
    st.sampled_from(
        [*("CAMPAIGN_ID=c1", "CONTACT_ID=a", "CONTACT_ID=b", "ATTEMPT_ID=1"), *("TENANT_ID=A", "TENANT_ID=B")]
    ),
    max_size=4,
)
AT = st.integers(0, 5)


def _field(at: int, one: Channel, tenant: str) -> Event:
    return ami(at, "Newstate", one.snapshot(state=5), Tenantid=tenant)


def _variable(at: int, one: Channel, tenant: str) -> Event:
    return ami(at, "VarSet", one.snapshot(), Variable="TENANT_ID", Value=tenant)


def _member(at: int, queue_name: str) -> Event:
    return ami(at, "QueueMemberStatus", Queue=queue_name, Interface="PJSIP/201", MemberName="Ann", Status=1)


EVENTS: st.SearchStrategy[list[Event]] = st.lists(
    st.builds(lambda at, one, variables: [born(at, one, *variables)], AT, CHANNELS, VARIABLES)
    | st.builds(lambda at, one, tenant: [_field(at, one, tenant)], AT, CHANNELS, st.sampled_from("AB"))
    | st.builds(lambda at, one, tenant: [_variable(at, one, tenant)], AT, CHANNELS, st.sampled_from("AB"))
    | st.builds(lambda at, one, by: [dial("DialBegin", at, one, by)], AT, CHANNELS, CHANNELS)
    | st.builds(answers, AT, CHANNELS)
    | st.builds(lambda at, one: [enter(at, one), leave(at + 2, one)], AT, CHANNELS)
    | st.builds(lambda at, one: [hangup(at, one)], AT, CHANNELS)
    | st.builds(lambda at, one: [queue(at, "Join", one)], AT, CHANNELS)
    | st.builds(lambda at, one, by: [agent(at, "Called", by, one, "PJSIP/201")], AT, CHANNELS, CHANNELS)
    | st.builds(
        lambda at, reason, one: [response(at, reason, "act-a", one)],
        AT,
        st.sampled_from([0, 4]),
        st.sampled_from(["a", "<unknown>"]),
    )
    | st.builds(lambda at, name: [_member(at, name)], AT, st.sampled_from(["q1", "q2"])),
    max_size=8,
).map(lambda several: [event for some in several for event in some])
SENDS = st.lists(
    st.builds(
        lambda tenant, contact, attempt, ids: send(tenant=tenant, contact=contact, attempt=attempt, call=ids),
        st.sampled_from("AB"),
        st.sampled_from("ab"),
        st.sampled_from("12"),
        st.fixed_dictionaries(
            {"action_id": st.just("act-a")}, optional={"channel_id": st.sampled_from("abc")}
        ),
    ),
    max_size=4,
)


def counts_of(events: list[Event], tenant: str) -> dict[bytes, Any]:
    partition = MemoryPartition()
    facts = [
        keyed
        for topic, body, headers in events
        for keyed in READERS[topic](body, [(name, value.encode()) for name, value in headers.items()]).facts
    ]
    partition.fold(facts, Rules())
    return {key: row for key, row in partition.counts().items() if RowKey.decode(key).tenant == tenant}


def with_headers(events: list[Event], **more: str) -> list[Event]:
    return [(topic, body, {**headers, **more}) for topic, body, headers in events]


@given(EVENTS, SENDS)
def test_no_event_of_a_pbx_that_is_bound_to_one_tenant_moves_a_row_of_another(
    events: list[Event], sends: list[Event]
) -> None:
    assert counts_of(sends + with_headers(events, tenant="A"), "B") == counts_of(sends, "B")


def test_a_pbx_of_any_tenant_counts_for_those_that_its_channels_name() -> None:
    events = [
        born(0, Channel("a"), "CAMPAIGN_ID=c1", "CONTACT_ID=a", "TENANT_ID=B"),
        *answers(1, Channel("a")),
    ]

    assert counts_of(with_headers(events, tenant="A", tenants="any"), "B")
    assert not counts_of(with_headers(events, tenant="A"), "B")
