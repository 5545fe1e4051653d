"""The definitions of the call counters, one by one, as the recount in SQL reads them.

Every expected number here was worked out by hand from the definitions of calls (contracts, section 4).
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

Body = dict[str, Any]
Counters = dict[str, Any]
Event = tuple[str, bytes, dict[str, str]]
"""Topic, body, headers."""

DEMO = files("tally.streams.demo")
SQL = (DEMO / "recount.sql").read_text()
SQL_CALLS = (DEMO / "recount_calls.sql").read_text()
RAW = """
    CREATE SCHEMA IF NOT EXISTS recount;
    DROP TABLE IF EXISTS recount.raw;
    CREATE TABLE recount.raw
        (topic text, kafka_partition int, kafka_offset bigint, body bytea, headers jsonb);
"""
RESULTS = ("call_stats", "call_template_stats", "operator_stats")
NAMES = frozenset({"tenant", "campaign", "template_name", "template_language", "pbx", "operator"})
SAMPLES = Path(__file__).parent.parent / "samples" / "ami"
EXPECTED = sorted(SAMPLES.glob("*.expected.json"))
NOW = 1_795_350_000  # unix seconds
PBX = "pbx01"


class Recounted:
    """What the recount says, by campaign, by script and by operator; counters that are zero left out."""

    def __init__(self, campaigns: list[Counters], scripts: list[Counters], operators: list[Counters]) -> None:
        self.campaigns = {row["campaign"]: counted(row) for row in campaigns}
        self.scripts = {(row["campaign"], row["template_name"]): counted(row) for row in scripts}
        self.operators = {row["operator"]: counted(row) for row in operators}
        self.tenants = {row["tenant"] for row in (*campaigns, *operators)}
        self.everything = (campaigns, scripts, operators)

    def __getitem__(self, campaign: str) -> Counters:
        return self.campaigns[campaign]


def counted(row: Counters) -> Counters:
    return {name: value for name, value in row.items() if name not in NAMES and value}


Recount = Callable[..., Recounted]


@pytest.fixture
def recount(database: str) -> Recount:
    def run(*events: Event) -> Recounted:
        return asyncio.run(_recount(database, list(events)))

    return run


async def _recount(dsn: str, events: list[Event]) -> Recounted:
    connection = await asyncpg.connect(dsn, timeout=20, command_timeout=120)
    try:
        await connection.execute(RAW)
        rows = [
            (topic, nth % 4, nth // 4, body, json.dumps(headers))
            for nth, (topic, body, headers) in enumerate(events)
        ]
        await connection.copy_records_to_table("raw", schema_name="recount", records=rows)
        # Only now: a copy is binary and knows no codec in text.
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await connection.execute(SQL)
        await connection.execute(SQL_CALLS)
        found = [
            sorted((dict(row) for row in await connection.fetch(f"SELECT * FROM recount.{name}")), key=str)  # noqa: S608
            for name in RESULTS
        ]
    finally:
        await connection.close()
    return Recounted(*found)


# ------------------------------------------------------------------------------------ raw records


def send(outcome: str = "requested", at: float = -1, contact: str = "a", **fields: Any) -> Event:
    body: Body = {
        "tenant": "t1",
        "channel": "voice",
        "campaign": "c1",
        "contact": {"id": contact, "phone": "+31600000001"},
        "template": {"name": "offer"},
        "pbx": PBX,
        "call": {"action_id": f"act-{contact}", "channel_id": contact},
        "outcome": outcome,
        "time": int((NOW + at) * 1000),
        **fields,
    }
    if outcome == "failed":
        body.setdefault("error", {"source": "pbx", "code": 0})
    if outcome in ("skipped", "cancelled"):
        body.setdefault("reason", "opted_out")
    return "send-results", json.dumps(body).encode(), {}


@dataclass(frozen=True)
class Channel:
    uniqueid: str
    name: str = ""
    linkedid: str = ""

    def snapshot(
        self, prefix: str = "", state: int = 0, variables: Iterable[str] = ()
    ) -> list[tuple[str, str]]:
        lines = [
            ("Channel", self.name or f"PJSIP/{self.uniqueid}-00000001"),
            ("ChannelState", str(state)),
            ("Uniqueid", self.uniqueid),
            ("Linkedid", self.linkedid or self.uniqueid),
            *(("ChanVariable", variable) for variable in variables),
        ]
        return [(prefix + key, value) for key, value in lines]


Lines = list[tuple[str, str]]


def packet(lines: Lines, received_at: float | None = None, headers: dict[str, str] | None = None) -> Event:
    """Return a record with the packet as text."""
    body = "".join(f"{key}: {value}\r\n" for key, value in lines).encode()
    stamped = {} if received_at is None else {"received_at": str(int((NOW + received_at) * 1000))}
    return "ami-events", body, {"pbx": PBX, **stamped, **(headers or {})}


def lines_of(at: float | None, event: str, *shown: Lines, **fields: object) -> Lines:
    stamp = [] if at is None else [("Timestamp", f"{NOW + at:.6f}")]
    said = [(key.replace("_", "-"), str(value)) for key, value in fields.items()]
    return [
        ("Event", event),
        ("Privilege", "call,all"),
        *stamp,
        *(line for part in shown for line in part),
        *said,
    ]


def ami(at: float, event: str, *shown: Lines, **fields: object) -> Event:
    return packet(lines_of(at, event, *shown, **fields))


def born(at: float, one: Channel, *variables: str) -> Event:
    return ami(at, "Newchannel", one.snapshot(variables=variables))


def state(at: float, one: Channel, number: int) -> Event:
    return ami(at, "Newstate", one.snapshot(state=number))


def dial(event: str, at: float, one: Channel, by: Channel | None, status: str = "") -> Event:
    caller = [by.snapshot(state=6)] if by else []
    return ami(at, event, *caller, one.snapshot("Dest"), **({"DialStatus": status} if status else {}))


def rings(at: float, one: Channel, by: Channel | None = None) -> list[Event]:
    """Return the beginning of a dial, up to the ringing of the other side."""
    return [
        born(at, one),
        dial("DialBegin", at + 0.01, one, by),
        dial("DialState", at + 0.02, one, by, "RINGING"),
    ]


def answers(at: float, one: Channel, by: Channel | None = None) -> list[Event]:
    return [state(at, one, 6), dial("DialEnd", at + 0.001, one, by, "ANSWER")]


def hangup(at: float, one: Channel, cause: int | str = 16) -> Event:
    return ami(at, "Hangup", one.snapshot(), Cause=cause)


def request(at: float, one: Channel) -> Event:
    return ami(at, "HangupRequest", one.snapshot())


def enter(at: float, one: Channel, bridge: str = "b1") -> Event:
    return ami(at, "BridgeEnter", [("BridgeUniqueid", bridge)], one.snapshot(state=6))


def leave(at: float, one: Channel, bridge: str = "b1") -> Event:
    return ami(at, "BridgeLeave", [("BridgeUniqueid", bridge)], one.snapshot(state=6))


def response(at: float, reason: int, action_id: str = "act-a", uniqueid: str = "<unknown>") -> Event:
    fields = {"ActionID": action_id, "Response": "Success" if reason == 4 else "Failure", "Reason": reason}
    return ami(at, "OriginateResponse", Channel="PJSIP/asked", Uniqueid=uniqueid, **fields)


def queue(at: float, event: str, one: Channel, name: str = "sales", **fields: object) -> Event:
    return ami(at, f"QueueCaller{event}", one.snapshot(state=6), Queue=name, **fields)


def agent(at: float, event: str, caller: Channel, one: Channel, interface: str, name: str = "sales") -> Event:
    return ami(at, f"Agent{event}", caller.snapshot(), one.snapshot("Dest"), Queue=name, Interface=interface)


def local(name: str, first: str, second: str, linkedid: str = "") -> tuple[Channel, Channel]:
    return (Channel(first, f"Local/{name};1", linkedid), Channel(second, f"Local/{name};2", linkedid))


def talk(start: float, end: float, *channels: Channel, bridge: str = "b1") -> list[Event]:
    return [event(at, one, bridge) for at, event in ((start, enter), (end, leave)) for one in channels]


CUSTOMER = Channel("a")
OPERATOR = Channel("op", "PJSIP/201-00000007", "a")
OTHER = Channel("op2", "PJSIP/202-00000008", "a")


def answered(seconds: float = 10, one: Channel = CUSTOMER) -> list[Event]:
    """Return a requested call that is answered at 2 s and hung up at 2 s + `seconds`."""
    return [send(contact=one.uniqueid), *rings(0, one), *answers(2, one), hangup(2 + seconds, one)]


UP = {"requested": 1, "attempted": 1, "answered": 1}
"""What every answered attempt with a send result counts."""


# ------------------------------------------------------------------------------- what became of it


def test_no_packets_are_no_rows(recount: Recount) -> None:
    assert recount().everything == ([], [], [])


def test_an_answered_call_counts_at_once_and_its_seconds_at_its_hangup(recount: Recount) -> None:
    running = [send(), *rings(0, CUSTOMER), *answers(2, CUSTOMER)]

    assert recount(*running)["c1"] == UP
    ended = recount(*running, hangup(6.999, CUSTOMER))
    assert ended["c1"] == {**UP, "connected_s": 4, "hangup_causes": {"16": 1}}
    assert ended.scripts == {("c1", "offer"): ended["c1"]}
    assert ended.tenants == {"t1"}


def test_a_requested_attempt_without_any_packet_is_only_requested(recount: Recount) -> None:
    assert recount(send())["c1"] == {"requested": 1}


def test_a_dialled_leg_is_attempted_and_has_no_outcome_until_it_hangs_up(recount: Recount) -> None:
    assert recount(send(), *rings(0, CUSTOMER))["c1"] == {"requested": 1, "attempted": 1}


CAUSES = {
    17: "busy",
    21: "rejected",
    **dict.fromkeys((1, 3, 20, 22, 28), "unreachable"),
    **dict.fromkeys((34, 38, 42), "congestion"),
    **dict.fromkeys((18, 19), "no_answer"),
    **dict.fromkeys((0, 16, 27, 127), "call_failed"),
}


def test_an_unanswered_leg_is_named_by_its_cause(recount: Recount) -> None:
    legs = {cause: Channel(f"x{cause}") for cause in CAUSES}
    stats = recount(
        *(send(contact=leg.uniqueid, campaign=cause) for cause, leg in legs.items()),
        *(event for leg in legs.values() for event in rings(0, leg)),
        *(hangup(3, leg, cause) for cause, leg in legs.items()),
    )

    known = {"requested": 1, "attempted": 1}
    assert stats.campaigns == {
        str(cause): {**known, outcome: 1, "hangup_causes": {str(cause): 1}}
        for cause, outcome in CAUSES.items()
    }


def test_a_cause_beyond_the_list_is_other(recount: Recount) -> None:
    stats = recount(
        *(send(contact=one) for one in ("a", "b")),
        *(event for one in ("a", "b") for event in rings(0, Channel(one))),
        *(hangup(3, Channel("a"), 128), hangup(3, Channel("b"), "")),
    )

    assert stats["c1"]["hangup_causes"] == {"other": 2}


STATUSES = {
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "CANCEL": "call_cancelled",
    "ABORT": "call_cancelled",
    "CONGESTION": "congestion",
    "CHANUNAVAIL": "unreachable",
    "CONTINUE": "call_failed",
}


def test_a_leg_whose_cause_says_nothing_is_named_by_its_first_dial_end(recount: Recount) -> None:
    legs = {status: Channel(status) for status in STATUSES}
    stats = recount(
        *(send(contact=status, campaign=status) for status in STATUSES),
        *(event for leg in legs.values() for event in rings(0, leg)),
        *(dial("DialEnd", 3, leg, None, status) for status, leg in legs.items()),
        *(dial("DialEnd", 3.1, leg, None, "BUSY") for leg in legs.values()),
        *(hangup(4, leg, 16) for leg in legs.values()),
    )

    assert {name: row.get(STATUSES[name]) for name, row in stats.campaigns.items()} == dict.fromkeys(
        STATUSES, 1
    )


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [(3, "no_answer"), (5, "busy"), (8, "congestion"), (0, "call_failed"), (1, "call_failed")],
)
def test_where_only_the_originate_response_is_there_its_reason_decides(
    recount: Recount, reason: int, outcome: str
) -> None:
    stats = recount(send(), response(3, reason))

    attempted = {"attempted": 1} if reason else {}
    assert stats["c1"] == {"requested": 1, **attempted, outcome: 1}


def test_originate_response_4_alone_is_an_answer(recount: Recount) -> None:
    assert recount(send(), response(3, 4, uniqueid="elsewhere"))["c1"] == UP


def test_an_originate_that_timed_out_is_no_answer_before_its_dial_status(recount: Recount) -> None:
    """Before 22.8 such a leg hangs up with cause 0."""
    stats = recount(
        send(),
        *rings(0, CUSTOMER),
        dial("DialEnd", 4, CUSTOMER, None, "CANCEL"),
        *(hangup(4.1, CUSTOMER, 0), response(4.2, 3)),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "no_answer": 1, "hangup_causes": {"0": 1}}


CANCELLED: dict[str, tuple[list[Event], str]] = {
    "hung up by the dialler while it rang": ([], "call_cancelled"),
    "asked for after the dial had ended": ([request(3.05, CUSTOMER)], "call_cancelled"),
    "asked for by the far side before": ([request(2.9, CUSTOMER)], "no_answer"),
}


@pytest.mark.parametrize(("more", "outcome"), CANCELLED.values(), ids=CANCELLED)
def test_a_ringing_leg_that_nobody_at_the_far_side_ended_is_cancelled(
    recount: Recount, more: list[Event], outcome: str
) -> None:
    stats = recount(
        send(),
        *rings(0, CUSTOMER),
        dial("DialEnd", 3, CUSTOMER, None, "NOANSWER"),
        *more,
        *(hangup(3.1, CUSTOMER, 0), response(3.2, 0)),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, outcome: 1, "hangup_causes": {"0": 1}}


def test_a_leg_that_never_rang_is_not_cancelled(recount: Recount) -> None:
    stats = recount(send(), born(0, CUSTOMER), hangup(1, CUSTOMER, 0), response(1.1, 0))

    assert stats["c1"]["call_failed"] == 1


def test_the_earliest_originate_response_counts(recount: Recount) -> None:
    assert recount(send(), response(4, 5), response(3, 8))["c1"]["congestion"] == 1


def test_a_phantom_channel_is_ignored_altogether(recount: Recount) -> None:
    phantom = Channel("a", "OutgoingSpoolFailed")
    variables = ("CAMPAIGN_ID=c1", "CONTACT_ID=z", "TENANT_ID=t1")
    stats = recount(send(), born(0, phantom, *variables), hangup(1, phantom, 0), response(1, 0))

    assert stats["c1"] == {"requested": 1, "call_failed": 1}


# --------------------------------------------------------------------------------- whose leg it is


def test_through_a_local_the_trunk_leg_is_the_customers(recount: Recount) -> None:
    one, two = local("100@dial-01", "a", "a2")
    trunk = Channel("trunk", "PJSIP/carrier-00000003", "a")
    stats = recount(
        send(),
        *(born(0, one), born(0, two), dial("DialBegin", 0.1, one, None)),
        *(*rings(0.2, trunk, by=two), dial("DialEnd", 3, trunk, two, "BUSY")),
        *(hangup(3, trunk, 17), hangup(3.1, two, 0), hangup(3.2, one, 0), response(3.3, 0)),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}


def test_nested_locals_are_one_attempt_answered_by_the_leg_at_their_end(recount: Recount) -> None:
    (one, two), (three, four) = local("100@dial-01", "a", "a2"), local("100@out-02", "a3", "a4", "a")
    trunk = Channel("trunk", "PJSIP/carrier-00000003", "a")
    stats = recount(
        send(),
        *(born(0, each) for each in (one, two, three, four)),
        *(*rings(0.1, three, by=two), *rings(0.2, trunk, by=four)),
        *(*answers(5, trunk, by=four), *answers(5.5, three, by=two), *answers(6, one)),
        *(hangup(15.2, each) for each in (trunk, four, three, two, one)),
    )

    assert stats["c1"] == {**UP, "connected_s": 10, "hangup_causes": {"16": 1}}


def test_a_local_that_dialled_nothing_is_the_customers_leg_itself(recount: Recount) -> None:
    one, two = local("100@dial-01", "a", "a2")
    stats = recount(send(), born(0, one), born(0, two), hangup(1, two, 0), hangup(1, one, 20))

    assert stats["c1"] == {"requested": 1, "attempted": 1, "unreachable": 1, "hangup_causes": {"20": 1}}


def test_of_several_legs_that_were_dialled_the_first_that_came_up_is_the_customers(recount: Recount) -> None:
    one, two = local("100@dial-01", "a", "a2")
    home, mobile = Channel("home", "", "a"), Channel("mobile", "", "a")
    dialled = [send(), born(0, one), born(0, two), *rings(0.1, mobile, by=two), *rings(0.2, home, by=two)]
    over = [hangup(10, two), hangup(10, one)]
    picked_up = recount(
        *dialled, *answers(4, mobile, by=two), hangup(4, home, 26), hangup(9.5, mobile), *over
    )
    missed = recount(*dialled, hangup(9, mobile, 17), hangup(9, home, 21), *over)
    undecided = recount(*dialled, hangup(9, home, 21), *over)

    assert picked_up["c1"] == {**UP, "connected_s": 5, "hangup_causes": {"16": 1}}
    assert missed["c1"] == {"requested": 1, "attempted": 1, "rejected": 1, "hangup_causes": {"21": 1}}
    assert undecided["c1"] == {"requested": 1, "attempted": 1, "hangup_causes": {"21": 1}}


SECOND = {"action_id": "act-a", "channel_id": "op", "customer_leg": "second"}
CALLED = Channel("cust", "PJSIP/carrier-00000009", "op")


def test_with_click_to_call_the_second_leg_is_the_customers_and_the_first_the_operators(
    recount: Recount,
) -> None:
    stats = recount(
        send(call=SECOND),
        *(*rings(0, OPERATOR), *answers(2, OPERATOR), response(2, 4, uniqueid="op")),
        *(*rings(2.5, CALLED, by=OPERATOR), *answers(6, CALLED, by=OPERATOR)),
        *talk(6.1, 10, OPERATOR, CALLED),
        *(hangup(10.5, CALLED), hangup(11, OPERATOR)),
    )

    expected = {"connected_s": 4, "talk_s": 3, "connects": 1, "hangup_causes": {"16": 1}}
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_s": 3}}


def test_with_click_to_call_the_customer_may_be_busy_though_the_operator_answered(recount: Recount) -> None:
    stats = recount(
        send(call=SECOND),
        *(*rings(0, OPERATOR), *answers(2, OPERATOR), response(2, 4, uniqueid="op")),
        *(*rings(2.5, CALLED, by=OPERATOR), hangup(4, CALLED, 17), hangup(5, OPERATOR)),
    )

    assert stats["c1"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}


def test_with_click_to_call_an_operator_who_never_picked_up_attempted_nobody(recount: Recount) -> None:
    stats = recount(
        send(call=SECOND), *rings(0, OPERATOR), hangup(9, OPERATOR, 19), response(9, 3, uniqueid="op")
    )

    assert stats["c1"] == {"requested": 1, "call_failed": 1}


def test_click_to_call_through_locals_on_both_sides(recount: Recount) -> None:
    (one, two), (three, four) = local("201@desk-01", "op", "op2"), local("100@out-02", "c3", "c4", "op")
    phone = Channel("phone", "PJSIP/201-00000001", "op")
    stats = recount(
        send(call=SECOND),
        *(born(0, each) for each in (one, two, three, four)),
        *(*rings(0.1, phone, by=two), *answers(2, phone, by=two), *answers(2.1, one)),
        *(*rings(3, three, by=one), *rings(3.1, CALLED, by=four), *answers(7, CALLED, by=four)),
        *talk(7.1, 12.1, CALLED, four, bridge="b1"),
        *talk(7.1, 12.1, three, one, bridge="b2"),
        *talk(2.2, 12.1, two, phone, bridge="b3"),
        *(hangup(12.5, each) for each in (CALLED, four, three, one, two, phone)),
    )

    expected = {"connected_s": 5, "talk_s": 5, "connects": 1, "hangup_causes": {"16": 1}}
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_s": 5}}


# ------------------------------------------------------------------------------------------ joins


@pytest.mark.parametrize(
    "ids", [{"channel_id": "a"}, {"unique_id": "a"}, {"linked_id": "a"}, {"action_id": "act-a"}]
)
def test_any_id_of_the_send_result_finds_the_call(recount: Recount, ids: dict[str, str]) -> None:
    first, *rest = answered(one=CUSTOMER)
    stats = recount(send(call=ids), response(2, 4, uniqueid="a"), *rest)

    assert first[0] == "send-results"
    assert stats["c1"] == {**UP, "connected_s": 10, "hangup_causes": {"16": 1}}


def test_a_channel_id_beats_the_channels_variables(recount: Recount) -> None:
    named = Channel("earlier")
    stats = recount(
        *answered(5),
        born(-5, named, "CAMPAIGN_ID=c1", "CONTACT_ID=a", "ATTEMPT_ID=1"),
        hangup(-4, named, 17),
    )

    assert stats["c1"] == {**UP, "connected_s": 5, "hangup_causes": {"16": 1}}


def test_several_send_results_of_one_attempt_are_one_attempt(recount: Recount) -> None:
    _, *call = answered(5)
    stats = recount(
        send("queued", -9, call={}, template={"name": "z"}),
        send("requested", -8, call={"action_id": "no"}, template={"name": "b"}),
        send("accepted", -1, call={"linked_id": "no"}, template={"name": "y"}),
        send("accepted", -1, call={"channel_id": "a"}, template={"name": "x"}),
        send("failed", 99, call={"unique_id": "no"}, template={"name": "a"}),
        *call,
    )

    assert stats.scripts == {("c1", "x"): {**UP, "connected_s": 5, "hangup_causes": {"16": 1}}}


def test_a_call_without_send_result_is_known_by_its_variables(recount: Recount) -> None:
    operator = Channel("op", "PJSIP/201-00000007", "a")
    stats = recount(
        *rings(0, CUSTOMER),
        ami(0.03, "VarSet", CUSTOMER.snapshot(), Variable="__CAMPAIGN_ID", Value="c1"),
        ami(0.03, "VarSet", CUSTOMER.snapshot(), Variable="__CONTACT_ID", Value=""),
        ami(0.04, "VarSet", CUSTOMER.snapshot(), Variable="__CONTACT_ID", Value="a"),
        ami(0.05, "VarSet", CUSTOMER.snapshot(), Variable="__CONTACT_ID", Value="later"),
        ami(0.06, "VarSet", CUSTOMER.snapshot(), Variable="TENANT_ID", Value="t2"),
        ami(0.06, "VarSet", CUSTOMER.snapshot(), Variable="SCRIPT_ID", Value="survey"),
        *answers(2, CUSTOMER),
        born(3, operator, "CAMPAIGN_ID=c1", "CONTACT_ID=a"),
        *talk(4, 8, CUSTOMER, operator),
        *(hangup(8, operator), hangup(9, CUSTOMER)),
    )

    expected = {"attempted": 1, "answered": 1, "connected_s": 7, "talk_s": 4, "connects": 1}
    assert stats.scripts == {("c1", "survey"): {**expected, "hangup_causes": {"16": 1}}}
    assert stats.tenants == {"t2"}


NAMED = ("CAMPAIGN_ID=c1", "CONTACT_ID=a", "ATTEMPT_ID=2")
TENANTS: dict[str, tuple[Lines, dict[str, str], set[str]]] = {
    "variable": ([("ChanVariable", "TENANT_ID=v"), ("Tenantid", "f")], {"tenant": "h"}, {"v"}),
    "field": ([("Tenantid", "f")], {"tenant": "h"}, {"f"}),
    "header": ([], {"tenant": "h"}, {"h"}),
    "none": ([], {}, set()),
}


@pytest.mark.parametrize(("more", "headers", "tenants"), TENANTS.values(), ids=TENANTS)
def test_the_tenant_of_a_call_without_send_result(
    recount: Recount, more: Lines, headers: dict[str, str], tenants: set[str]
) -> None:
    stats = recount(
        packet(lines_of(0, "Newchannel", CUSTOMER.snapshot(variables=NAMED), more), headers=headers)
    )

    assert stats.tenants == tenants
    assert len(stats.campaigns) == len(tenants)


def test_variables_join_the_attempt_of_their_name_whichever_tenant_sent_it(recount: Recount) -> None:
    leg = Channel("x")
    stats = recount(
        *(
            send(attempt=one, call={"action_id": f"no{one}"}, template={"name": one})
            for one in ("1", "2", "3")
        ),
        *(born(0, leg, *NAMED, "TENANT_ID=t9"), hangup(1, leg, 17)),
    )

    only_sent = {"requested": 1}
    assert stats.scripts["c1", "2"] == {"requested": 1, "attempted": 1, "busy": 1, "hangup_causes": {"17": 1}}
    assert stats.scripts["c1", "1"] == stats.scripts["c1", "3"] == only_sent


def test_without_the_attempt_variable_the_attempt_sent_closest_in_time_is_meant(recount: Recount) -> None:
    leg = Channel("x")
    sent = {"1": -500, "2": 30, "3": 90}
    stats = recount(
        *(
            send("accepted", at, attempt=one, call={"action_id": f"no{one}"}, template={"name": one})
            for one, at in sent.items()
        ),
        *(born(58, leg, "CAMPAIGN_ID=c1", "CONTACT_ID=a"), hangup(70, leg, 17)),
    )

    assert {script: row.get("busy", 0) for (_, script), row in stats.scripts.items()} == {
        "1": 0,
        "2": 1,
        "3": 0,
    }


def test_the_same_ids_on_another_pbx_are_another_call(recount: Recount) -> None:
    _, *call = answered(5)
    elsewhere = [(topic, body, {**headers, "pbx": "pbx02"}) for topic, body, headers in call]

    assert recount(send(), *elsewhere)["c1"] == {"requested": 1}


# --------------------------------------------------------------------------------------- operators


def test_an_operator_in_the_same_bridge_is_one_connect_with_its_whole_seconds(recount: Recount) -> None:
    stats = recount(
        *answered(20),
        *(*rings(3, OPERATOR, by=CUSTOMER), *answers(5, OPERATOR, by=CUSTOMER)),
        *talk(5.2, 9.1, OPERATOR, CUSTOMER),
        hangup(9.2, OPERATOR),
    )

    expected = {"connected_s": 20, "talk_s": 3, "connects": 1, "hangup_causes": {"16": 1}}
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_s": 3}}


def test_a_connection_that_lasts_has_no_seconds_yet(recount: Recount) -> None:
    stats = recount(
        *answered(20)[:-1],
        *rings(3, OPERATOR, by=CUSTOMER),
        *talk(5, 7, OPERATOR, CUSTOMER),
        *(enter(8, OPERATOR), enter(8, CUSTOMER)),
    )

    assert stats["c1"] == {**UP, "connects": 1}
    assert stats.operators == {"PJSIP/201": {"connects": 1}}


def test_a_connection_ends_with_a_hangup_or_in_another_bridge_too(recount: Recount) -> None:
    stats = recount(
        *answered(20),
        *(born(3, OPERATOR), born(3, OTHER)),
        *(enter(5, OPERATOR), enter(5, CUSTOMER), enter(7.5, OPERATOR, "elsewhere")),
        *(enter(10, OTHER), hangup(13, OTHER)),
    )

    assert stats.operators == {
        "PJSIP/201": {"connects": 1, "talk_s": 2},
        "PJSIP/202": {"connects": 1, "talk_s": 3},
    }
    assert (stats["c1"]["talk_s"], stats["c1"]["connects"]) == (5, 2)


def test_a_blind_transfer_to_a_second_operator_is_two_connects(recount: Recount) -> None:
    stats = recount(
        *answered(20),
        *(*rings(3, OPERATOR, by=CUSTOMER), *answers(5, OPERATOR, by=CUSTOMER)),
        *(*talk(5, 8.5, OPERATOR, CUSTOMER), hangup(8.6, OPERATOR)),
        *(*rings(9, OTHER, by=CUSTOMER), *answers(11, OTHER, by=CUSTOMER)),
        *(*talk(11, 16.5, OTHER, CUSTOMER, bridge="b2"), hangup(16.6, OTHER)),
    )

    expected = {"connected_s": 20, "talk_s": 8, "connects": 2, "hangup_causes": {"16": 1}}
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {
        "PJSIP/201": {"connects": 1, "talk_s": 3},
        "PJSIP/202": {"connects": 1, "talk_s": 5},
    }


def test_through_a_local_that_later_leaves_the_call_it_is_one_connection(recount: Recount) -> None:
    one, two = local("201@desk-01", "l1", "l2", "a")
    stats = recount(
        *answered(20),
        *(*rings(3, one, by=CUSTOMER), born(3, two), *rings(3.1, OPERATOR, by=two)),
        *(
            enter(5, OPERATOR, "far"),
            enter(5, two, "far"),
            enter(5.5, one, "near"),
            enter(6, CUSTOMER, "near"),
        ),
        *(leave(8, OPERATOR, "far"), leave(8, one, "near"), enter(8, OPERATOR, "near"), leave(8, two, "far")),
        *(hangup(8.1, one), hangup(8.1, two), leave(12.5, OPERATOR, "near"), leave(12.5, CUSTOMER, "near")),
    )

    assert stats.operators == {"PJSIP/201": {"connects": 1, "talk_s": 6}}
    assert (stats["c1"]["connects"], stats["c1"]["talk_s"]) == (1, 6)


def test_hold_lasts_to_the_next_unhold_or_the_legs_hangup(recount: Recount) -> None:
    def held(at: float, event: str, one: Channel) -> Event:
        return ami(at, event, one.snapshot(state=6), MusicClass=f"at {at}")

    stats = recount(
        *answered(20),
        *(born(3, OPERATOR), *talk(4, 18, CUSTOMER, OPERATOR), hangup(18.9, OPERATOR)),
        *(held(4.5, "Unhold", OPERATOR), held(5, "Hold", OPERATOR), held(6, "Hold", OPERATOR)),
        *(held(8.2, "Unhold", OPERATOR), held(17, "Hold", OPERATOR)),
        *(held(10, "Hold", CUSTOMER), held(11.5, "Unhold", CUSTOMER)),
    )

    assert stats["c1"]["hold_s"] == 5 + 1  # 3.2 s and 1.9 s; 1.5 s


# ------------------------------------------------------------------------------------------ queues


def queued_call(*more: Event, until: float = 40) -> list[Event]:
    return [*answered(until - 2), queue(3, "Join", CUSTOMER, Position=1), *more]


def test_a_queue_with_a_ring_no_answer_and_a_connect(recount: Recount) -> None:
    stats = recount(
        *queued_call(
            *(*rings(3.5, OTHER, by=CUSTOMER), agent(3.6, "Called", CUSTOMER, OTHER, "PJSIP/bob")),
            agent(8.5, "RingNoAnswer", CUSTOMER, OTHER, "PJSIP/bob"),
            *(dial("DialEnd", 8.6, OTHER, CUSTOMER, status) for status in ("NOANSWER", "CANCEL")),
            hangup(8.7, OTHER, 0),
            *(*rings(9, OPERATOR, by=CUSTOMER), agent(9.1, "Called", CUSTOMER, OPERATOR, "PJSIP/alice")),
            *answers(12, OPERATOR, by=CUSTOMER),
            *(queue(12.5, "Leave", CUSTOMER), agent(12.6, "Connect", CUSTOMER, OPERATOR, "PJSIP/alice")),
            *(*talk(13, 20, CUSTOMER, OPERATOR), hangup(20, OPERATOR)),
        )
    )

    of_queue = {"joins": 1, "wait_s": 9, "ring_no_answer": 1, "connects": 1, "talk_s": 7}
    expected = {
        **{"connected_s": 38, "talk_s": 7, "queue_wait_s": 9, "queue_joins": 1, "connects": 1},
        **{"ring_no_answer": 1, "hangup_causes": {"16": 1}},
        "queues": {f"sales/{name}": n for name, n in of_queue.items()},
    }
    assert stats["c1"] == {**UP, **expected}
    assert stats.operators == {
        "PJSIP/alice": {"connects": 1, "talk_s": 7},
        "PJSIP/bob": {"ring_no_answer": 1},
    }


def test_a_member_behind_a_local_is_known_by_its_interface(recount: Recount) -> None:
    one, two = local("201@desk-01", "l1", "l2", "a")
    stats = recount(
        *queued_call(
            *(*rings(3.5, one, by=CUSTOMER), born(3.5, two), *rings(3.6, OPERATOR, by=two)),
            agent(4, "Connect", CUSTOMER, one, "Local/201@desk/n"),
            *(*talk(5, 9, CUSTOMER, one), *talk(5, 9, two, OPERATOR, bridge="b2")),
        )
    )

    assert stats.operators == {"Local/201@desk/n": {"connects": 1, "talk_s": 4}}
    assert stats["c1"]["queues"] == {
        "sales/joins": 1,
        "sales/wait_s": 37,
        "sales/connects": 1,
        "sales/talk_s": 4,
    }


ABANDONS: dict[str, tuple[list[Event], int]] = {
    "the customer hung up": ([request(9, CUSTOMER)], 1),
    "the queue gave up": ([request(11, CUSTOMER)], 0),
    "nobody hung up": ([], 0),
    "an operator came later": (
        [request(9, CUSTOMER), *talk(15, 20, CUSTOMER, OPERATOR), born(14, OPERATOR)],
        0,
    ),
    "an operator came before": (
        [request(9, CUSTOMER), *talk(4, 8, CUSTOMER, OPERATOR), born(3, OPERATOR)],
        1,
    ),
}


@pytest.mark.parametrize(("more", "abandoned"), ABANDONS.values(), ids=ABANDONS)
def test_an_abandon_is_the_customers(recount: Recount, more: list[Event], abandoned: int) -> None:
    stats = recount(*queued_call(queue(10, "Abandon", CUSTOMER), queue(10.1, "Leave", CUSTOMER), *more))

    assert stats["c1"].get("queue_abandoned", 0) == abandoned
    assert stats["c1"]["queues"].get("sales/abandoned", 0) == abandoned
    assert stats["c1"]["queue_wait_s"] == 7


def test_each_join_waits_on_its_own(recount: Recount) -> None:
    stats = recount(
        *queued_call(
            queue(4.9, "Leave", CUSTOMER),
            *(
                queue(6, "Join", CUSTOMER, "support"),
                queue(7, "Leave", CUSTOMER),
                queue(8.9, "Leave", CUSTOMER, "support"),
            ),
            queue(10, "Join", CUSTOMER),
            queue(10, "Join", CUSTOMER, Count=9),
            until=12.9,
        )
    )

    assert (stats["c1"]["queue_joins"], stats["c1"]["queue_wait_s"]) == (3, 1 + 2 + 2)
    assert stats["c1"]["queues"] == {
        "sales/joins": 2,
        "sales/wait_s": 3,
        "support/joins": 1,
        "support/wait_s": 2,
    }


def test_without_timestamps_a_channels_joins_of_a_queue_are_one(recount: Recount) -> None:
    def joined(at: float, position: int, name: str) -> Event:
        lines = lines_of(None, "QueueCallerJoin", CUSTOMER.snapshot(state=6), Queue=name, Position=position)
        return packet(lines, received_at=at)

    stats = recount(*answered(20), joined(3, 1, "sales"), joined(7, 2, "sales"), joined(9, 1, "support"))

    assert stats["c1"]["queue_joins"] == 2
    assert stats["c1"]["queue_wait_s"] == 19 + 13


def test_a_join_of_somebody_elses_channel_is_not_the_attempts(recount: Recount) -> None:
    stats = recount(*answered(20), born(3, OPERATOR), queue(4, "Join", OPERATOR))

    assert "queue_joins" not in stats["c1"]


# ------------------------------------------------------------------------- machines and dropped calls


def detected(value: str, at: float = 2.5, one: Channel = CUSTOMER) -> Event:
    return ami(at, "VarSet", one.snapshot(), Variable="AMDSTATUS", Value=value)


@pytest.mark.parametrize(
    ("values", "counter"),
    [
        (["HUMAN"], "answered_human"),
        (["MACHINE"], "answered_machine"),
        (["NOTSURE"], "answered_unknown"),
        (["", "HUMAN", "MACHINE"], "answered_human"),
        ([], None),
    ],
)
def test_who_answered_is_said_by_the_earliest_amd_status(
    recount: Recount, values: list[str], counter: str | None
) -> None:
    stats = recount(*answered(), *(detected(value, 2.5 + nth) for nth, value in enumerate(values)))

    said = {name: n for name, n in stats["c1"].items() if name.startswith("answered_")}
    assert said == ({counter: 1} if counter else {})


DROPPED: dict[str, tuple[list[Event], int]] = {
    "no operator at all": ([detected("HUMAN")], 1),
    "a machine": ([detected("MACHINE")], 0),
    "in time": ([detected("HUMAN"), born(3, OPERATOR), *talk(4, 8, CUSTOMER, OPERATOR)], 0),
    "too late": ([detected("HUMAN"), born(3, OPERATOR), *talk(4.000001, 8, CUSTOMER, OPERATOR)], 1),
}


@pytest.mark.parametrize(("more", "dropped"), DROPPED.values(), ids=DROPPED)
def test_a_person_in_a_queue_without_an_operator_within_two_seconds_is_dropped(
    recount: Recount, more: list[Event], dropped: int
) -> None:
    assert recount(*queued_call(*more))["c1"].get("dropped", 0) == dropped


def test_a_call_that_ended_within_the_two_seconds_is_not_dropped(recount: Recount) -> None:
    assert "dropped" not in recount(*queued_call(detected("HUMAN"), until=4))["c1"]


def test_a_call_that_was_for_no_queue_is_not_dropped(recount: Recount) -> None:
    assert "dropped" not in recount(*answered(20), detected("HUMAN"))["c1"]


# ------------------------------------------------------------------------------- losses and copies


def fully_booted(at: float, uptime: int) -> Event:
    return packet(lines_of(None, "FullyBooted", Uptime=uptime, LastReload=uptime), received_at=at)


def listed(at: float, *channels: Channel) -> list[Event]:
    return [
        *(
            packet(lines_of(None, "CoreShowChannel", one.snapshot(state=6), ActionID="list"), received_at=at)
            for one in channels
        ),
        packet(lines_of(None, "CoreShowChannelsComplete", ActionID="list", ListItems="1"), received_at=at),
    ]


SWEEPS: dict[str, tuple[list[Event], dict[str, int]]] = {
    "a restart": ([fully_booted(100, 80)], {"ended_unknown": 1}),
    "a login to a server that runs since before": ([fully_booted(100, 3600)], {}),
    "a restart too close": ([fully_booted(100, 97)], {}),
    "a list without it": (listed(60), {"ended_unknown": 1}),
    "a list that came at once": (listed(3), {}),
    "a list with it": (listed(60, CUSTOMER), {}),
}


@pytest.mark.parametrize(("sweep", "unknown"), SWEEPS.values(), ids=SWEEPS)
def test_a_channel_last_seen_before_a_sweep_ended_unknown(
    recount: Recount, sweep: list[Event], unknown: dict[str, int]
) -> None:
    stats = recount(send(), *rings(0, CUSTOMER), *answers(2.5, CUSTOMER), *sweep)

    assert stats["c1"] == {**UP, **unknown}


def test_an_unanswered_call_that_is_gone_has_no_outcome(recount: Recount) -> None:
    stats = recount(send(), *rings(0, CUSTOMER), response(3, 5), fully_booted(100, 10))

    assert stats["c1"] == {"requested": 1, "attempted": 1, "ended_unknown": 1}


def test_a_sweep_of_another_pbx_says_nothing(recount: Recount) -> None:
    topic, body, headers = fully_booted(100, 10)
    stats = recount(send(), *rings(0, CUSTOMER), (topic, body, {**headers, "pbx": "pbx02"}))

    assert stats["c1"] == {"requested": 1, "attempted": 1}


def full_story() -> list[Event]:
    return queued_call(
        *(*rings(3.5, OPERATOR, by=CUSTOMER), agent(3.6, "Called", CUSTOMER, OPERATOR, "PJSIP/alice")),
        *(*talk(5, 9, CUSTOMER, OPERATOR), queue(4.9, "Leave", CUSTOMER), detected("HUMAN")),
    )


def test_copies_of_two_collectors_change_nothing(recount: Recount) -> None:
    events = full_story()
    late = [(topic, body, {**headers, "received_at": "1999999999999"}) for topic, body, headers in events]

    assert recount(*events).everything == recount(*events, *late, *late).everything


def test_the_order_of_arrival_changes_nothing(recount: Recount) -> None:
    events = full_story()
    shuffled = list(events)
    Random(4).shuffle(shuffled)

    assert recount(*events).everything == recount(*shuffled).everything


def test_recounting_again_in_the_same_database_gives_the_same(recount: Recount) -> None:
    assert recount(*full_story()).everything == recount(*full_story()).everything


def test_without_timestamp_the_smallest_received_at_counts(recount: Recount) -> None:
    def unstamped(event: str, at: float, number: int) -> list[Event]:
        lines = lines_of(
            None, event, CUSTOMER.snapshot(state=number), **({"Cause": 16} if event == "Hangup" else {})
        )
        return [packet(lines, received_at=at + delay) for delay in (3, 0, 7)]

    stats = recount(
        send(), *unstamped("Newchannel", 0, 0), *unstamped("Newstate", 2, 6), *unstamped("Hangup", 9, 6)
    )

    assert stats["c1"] == {**UP, "connected_s": 7, "hangup_causes": {"16": 1}}


def as_json(event: Event) -> Event:
    """Return the same packet as a JSON object that also holds what headers say."""
    topic, body, headers = event
    if topic != "ami-events":
        return event
    fields: dict[str, Any] = {}
    for line in body.decode().splitlines():
        key, _, value = line.partition(": ")
        before = fields.get(key)
        fields[key] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    return topic, json.dumps({**fields, **headers}).encode(), {}


def test_a_packet_as_json_is_the_same_packet(recount: Recount) -> None:
    events = [*full_story(), born(2.2, CUSTOMER, "CAMPAIGN_ID=c1", "CONTACT_ID=a", "ATTEMPT_ID=1")]
    once = recount(*events).everything

    assert recount(*map(as_json, events)).everything == once
    assert recount(*events, *map(as_json, events)).everything == once


def test_line_ends_and_the_case_of_keys_change_nothing(recount: Recount) -> None:
    events = full_story()
    other = [
        (
            topic,
            body
            if topic != "ami-events"
            else body.replace(b"\r\n", b"\n").replace(b"Uniqueid:", b"UNIQUEID:"),
            head,
        )
        for topic, body, head in events
    ]

    assert recount(*events).everything == recount(*other).everything


def test_bad_packets_count_nothing_and_disturb_nothing(recount: Recount) -> None:
    lines = lines_of(4, "Hangup", CUSTOMER.snapshot(), Cause=17)
    topic, body, headers = packet(lines)
    object_ = json.dumps(dict(lines)).encode()
    unstamped = packet([line for line in lines if line[0] != "Timestamp"])
    bad: list[Event] = [
        (topic, body, {}),
        unstamped,
        (topic, unstamped[1], {**headers, "received_at": "soon"}),
        (topic, body.replace(b"Cause", b"Caf\xe9: 1\r\nCause"), headers),
        (topic, body.replace(b"Timestamp: ", b"Timestamp: x"), headers),
        (topic, object_[:-1], headers),
        (topic, object_.replace(b'"17"', b"17"), headers),
        (topic, object_.replace(b'"17"', b'{"a": "17"}'), headers),
        (topic, b"", headers),
        (topic, b"Response: Success\r\nUniqueid: a\r\n", headers),
        (topic, b"\x00", headers),
    ]
    good = answered(5)

    assert recount(*good, *bad).everything == recount(*good).everything


def test_bad_send_results_count_nothing(recount: Recount) -> None:
    sends = [
        send(pbx=None),
        send(call=None),
        send(call={}),
        send(call={"channel_id": 7}),
        send(call={"channel_id": "a", "customer_leg": "third"}),
        send(contact="", pbx=PBX),
        send(campaign=None),
        send(time="yesterday"),
        send("answered"),
        send(channel="whatsapp"),
        send(template={"name": ""}),
        send("failed", error={"source": "carrier", "code": 1}),
    ]

    assert recount(*sends).everything == ([], [], [])


def test_an_attempt_that_never_reached_a_pbx_needs_none(recount: Recount) -> None:
    stats = recount(send("skipped", pbx=None, call=None), send("queued", contact="b", pbx=None, call={}))

    assert stats.scripts == {("c1", "offer"): {}}


# ------------------------------------------------------------------------------------ whole sessions

RECIPIENT = frozenset({"contacts", "attempts", "queued", "failed_at_send", "skipped", "cancelled"})
"""Counters of the other recount."""


def recorded(file: str, received_at: int, pbx: str, step_ms: int = 0) -> Iterator[Event]:
    """Yield the packets of a recording, a JSON list or the bytes of a session after its banner."""
    content = (SAMPLES / file).read_bytes()
    bodies = (
        [json.dumps(fields).encode() for fields in json.loads(content)]
        if file.endswith(".json")
        else content.partition(b"\r\n")[2].split(b"\r\n\r\n")
    )
    for nth, body in enumerate(bodies):
        yield "ami-events", body, {"pbx": pbx, "received_at": str(received_at + nth * step_ms)}


def played(expected: Body) -> list[Event]:
    sends: list[Event] = [("send-results", json.dumps(body).encode(), {}) for body in expected["sends"]]
    return [*sends, *(event for one in expected["recordings"] for event in recorded(**one, pbx=PBX))]


def flat(counters: Counters) -> Counters:
    """Return the counters of calls with those of the maps beside them, as the expectations have them."""
    plain = {name: n for name, n in counters.items() if not isinstance(n, dict) and name not in RECIPIENT}
    maps = ((name, entries) for name, entries in counters.items() if isinstance(entries, dict))
    return plain | {f"{name}.{key}": n for name, entries in maps for key, n in entries.items()}


def by_script(stats: Recounted) -> dict[str, Counters]:
    return {f"{campaign}/{script}": flat(row) for (campaign, script), row in stats.scripts.items()}


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.removesuffix(".expected.json"))
def test_a_recorded_session_counts_what_its_story_says(recount: Recount, path: Path) -> None:
    expected = json.loads(path.read_bytes())
    stats = recount(*played(expected))

    assert by_script(stats) == {name: flat(row) for name, row in expected["campaigns"].items()}
    assert stats.operators == {name: counted(row) for name, row in expected["operators"].items()}


def test_all_sessions_of_one_pbx_together_are_the_sum_of_each(recount: Recount) -> None:
    """Calls do not meet: not by the Uniqueid `<unknown>`, nor by names that come again."""
    whole = (path for path in EXPECTED if path.name.startswith(("ast22", "reconnect-both")))
    sessions = [json.loads(path.read_bytes()) for path in whole if "reconnect-part" not in path.name]
    total: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, row in (entry for one in sessions for entry in one["campaigns"].items()):
        total[name].update(flat(row))

    assert by_script(recount(*(event for one in sessions for event in played(one)))) == total
