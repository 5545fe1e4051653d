"""AMI events become facts or one named bad part; no input of a PBX raises an exception."""

import hashlib
from itertools import permutations

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tally.schemas.ami.reader import read_ami
from tally.schemas.bounds import PACKET_LINES, QUEUE_NAME
from tally.schemas.call_facts import CALL, OPERATOR, ChannelsSeen, MemberSeen, Originated, Resynced
from tally.schemas.conventions import Conventions
from tally.schemas.records import packed
from tally.schemas.topics import FACT_LIMIT_BYTES

HANGUP = (
    b"Event: Hangup\r\nPrivilege: call,all\r\nTimestamp: 1795350873.904228\r\nSystemName: pbx01\r\n"
    b"Channel: PJSIP/carrier-00000001\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n"
    b"Uniqueid: pbx01-1795350870.3\r\nLinkedid: pbx01-1795350870.1\r\n"
    b'ChanVariable: CAMPAIGN_ID=4001\r\nChanVariable: CONTACT_ID=a \\"b\\"\r\n'
    b"Cause: 16\r\nCause-txt: Normal Clearing\r\nTechCause: 200\r\n\r\n"
)
HEADERS = (("pbx", b"pbx/01"), ("received_at", b"1795350873905"), ("tenant", b"t1"))


def hangup(value: bytes, headers: tuple[tuple[str, bytes | None], ...] = HEADERS) -> ChannelsSeen:
    (keyed,) = read_ami(value, headers).facts
    family, key, fact = keyed.family, keyed.key, keyed.fact
    assert (family, key) == (CALL, b"pbx%2F01")
    assert isinstance(fact, ChannelsSeen)
    return fact


def as_json(packet: bytes, **more: object) -> bytes:
    fields: dict[str, object] = {}
    for line in packet.decode().strip().split("\r\n"):
        name, _, value = line.partition(": ")
        known = fields.get(name)
        fields[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
    return orjson.dumps(fields | more)


def test_an_event_says_what_became_of_its_channel() -> None:
    fact = hangup(HANGUP)
    (snapshot,) = fact.channels

    assert (fact.kind, fact.cause, fact.at_us, fact.digest) == ("hangup", 16, 1_795_350_873_904_228, b"")
    assert (snapshot.unique, snapshot.linked, snapshot.state) == (
        "pbx01-1795350870.3",
        "pbx01-1795350870.1",
        6,
    )
    assert snapshot.variables == {"campaign": "4001", "contact": 'a "b"', "tenant_bound": "t1"}


@pytest.mark.parametrize(
    "value",
    [
        as_json(HANGUP),
        HANGUP.replace(b"\r\n", b"\n"),
        HANGUP.strip(),
        HANGUP.replace(b"Uniqueid:", b"UniqueId:").replace(b"Channel:", b"channel:"),
        HANGUP.replace(b"Event: Hangup\r\nPrivilege", b"Privilege").strip() + b"\r\nEvent: Hangup",
        HANGUP.replace(b"Cause-txt", b"X-Of-Next-Year: 1\r\nCause-txt"),
    ],
)
def test_text_and_json_line_ends_case_order_and_unknown_fields_make_no_difference(value: bytes) -> None:
    assert hangup(value) == hangup(HANGUP)


def test_own_fields_come_as_headers_or_in_the_object() -> None:
    inside = as_json(HANGUP, pbx="pbx/01", received_at=1_795_350_873_905, tenant="t1")

    assert hangup(inside, ()) == hangup(HANGUP)


def test_without_a_timestamp_the_time_of_receipt_counts_and_the_content_is_the_identity() -> None:
    value = HANGUP.replace(b"Timestamp: 1795350873.904228\r\n", b"")
    first, later = hangup(value), hangup(value, (HEADERS[0], ("received_at", b"1795350879000"), HEADERS[2]))

    assert (first.at_us, later.at_us) == (1_795_350_873_905_000, 1_795_350_879_000_000)
    assert first.digest == later.digest != b""
    assert hangup(value.replace(b"Cause: 16", b"Cause: 17")).digest != first.digest


def test_what_is_no_utf_8_is_latin_1_so_that_no_event_is_lost_for_a_name() -> None:
    assert hangup(HANGUP.replace(b"carrier", b"caf\xe9")).channels[0].name == "PJSIP/café-00000001"


BAD = {
    "no pbx": (HANGUP, HEADERS[1:], "missing_field at $.pbx"),
    "pbx null": (HANGUP, (("pbx", None), HEADERS[1]), "missing_field at $.pbx"),
    "pbx with NUL": (HANGUP, (("pbx", b"a\0b"),), "bad_id at $.pbx"),
    "no time": (
        HANGUP.replace(b"Timestamp", b"Time"),
        (HEADERS[0], ("received_at", None)),
        "missing_field at $.received_at",
    ),
    "bad time": (
        HANGUP.replace(b"Timestamp: ", b"Timestamp: x"),
        HEADERS,
        "bad_time at $.Timestamp",
    ),
    "time of next year's format": (
        HANGUP.replace(b".904228", b"T9"),
        HEADERS,
        "bad_time at $.Timestamp",
    ),
    "bad receipt": (
        HANGUP.replace(b"Timestamp", b"Time"),
        (HEADERS[0], ("received_at", b"now")),
        "bad_time at $.received_at",
    ),
    "another word than any": (
        HANGUP,
        (*HEADERS, ("tenants", b"all")),
        "wrong_type at $.tenants",
    ),
    "no channel": (HANGUP.replace(b"Uniqueid", b"Id"), HEADERS, "missing_field at $.Uniqueid"),
    "NUL in a packet": (HANGUP.replace(b"carrier", b"\x00arrier"), HEADERS, "bad_packet at $"),
    "NUL in JSON": (as_json(HANGUP).replace(b"carrier", b"\\u0000arrier"), HEADERS, "bad_packet at $"),
    "a line that is none": (b"Event: Hangup\r\nnothing", HEADERS, "bad_packet at $"),
    "too many lines": (b"Event: Hangup\r\n" + b"a: b\r\n" * PACKET_LINES.most, HEADERS, "bad_packet at $"),
    "neither event nor response": (b"Key: value", HEADERS, "bad_packet at $.Event"),
    "empty": (b"", HEADERS, "bad_packet at $"),
    "a tombstone": (None, HEADERS, "bad_packet at $"),
    "no JSON": (as_json(HANGUP)[:-1], HEADERS, "not_json at $"),
    "a number in JSON": (as_json(HANGUP, Cause=16), HEADERS, "wrong_type at $"),
    "what the collector could not read": (HANGUP, (*HEADERS, ("malformed", b"too_large")), "bad_packet at $"),
    "too large": (b"Event: Hangup\r\nA: " + b"x" * (4 << 20), HEADERS, "too_large at $"),
}


def test_a_time_that_is_none_says_which_form_it_has() -> None:
    (bad,) = read_ami(HANGUP.replace(b"Timestamp: ", b"Timestamp: x"), HEADERS).bad

    assert bad.expected == "unix seconds, with or without a fraction"


@pytest.mark.parametrize(("value", "headers", "bad"), BAD.values(), ids=BAD)
def test_a_bad_record_is_named_once_and_counts_nothing(
    value: bytes | None, headers: tuple[tuple[str, bytes | None], ...], bad: str
) -> None:
    routed = read_ami(value, headers)

    assert [one.where for one in routed.bad] == [bad]
    assert not routed.facts


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"Event: RTCPSent\r\nanything, even gibberish", "RTCPSent"),
        (b"Event: OfNextYear\r\nUniqueid: a\r\n", "other"),
        (b"Response: Success\r\nMessage: Authentication accepted\r\n", "response"),
    ],
)
def test_what_says_nothing_about_a_call_is_counted_by_name_and_passes(value: bytes, name: str) -> None:
    routed = read_ami(value, HEADERS)

    assert (routed.facts, routed.bad, routed.seen) == ([], [], [("ami_event", name)])


def test_a_phantom_channel_is_no_fact() -> None:
    assert not read_ami(HANGUP.replace(b"PJSIP/carrier-00000001", b"OutgoingSpoolFailed"), HEADERS).facts


def test_variables_and_verdicts_are_read_where_the_settings_name_them() -> None:
    reading = Conventions({"KAMPAGNE": "campaign", "AMD": "amd"}, amd_event="Detected")
    set_ = HANGUP.replace(b"Event: Hangup", b"Event: VarSet\r\nVariable: __KAMPAGNE\r\nValue: k1")
    told = HANGUP.replace(b"Event: Hangup", b"Event: UserEvent\r\nUserEvent: Detected\r\nStatus: MACHINE")

    def variables(value: bytes) -> dict[str, str]:
        (keyed,) = read_ami(value, HEADERS, reading).facts
        assert isinstance(keyed.fact, ChannelsSeen)
        return {str(role): text for role, text in keyed.fact.channels[0].variables.items()}

    assert variables(set_)["campaign"] == "k1"
    assert variables(told)["amd"] == "MACHINE"
    assert not read_ami(set_, HEADERS).facts
    assert not read_ami(told, HEADERS).facts


def test_lists_and_starts_resync_a_pbx_whole_lists_of_members_only_those_of_the_bridge() -> None:
    def resynced(packet: bytes) -> list[tuple[bytes, int]]:
        facts = read_ami(packet, HEADERS).facts
        return [(keyed.family, keyed.fact.at_us) for keyed in facts if isinstance(keyed.fact, Resynced)]

    listed = 1_795_350_872_905_000
    assert resynced(b"Event: CoreShowChannelsComplete\r\nListItems: 0") == [(CALL, listed)]
    assert resynced(b"Event: QueueStatusComplete\r\nActionID: mine") == []
    assert resynced(b"Event: QueueStatusComplete\r\nActionID: tally-resync-1") == [(OPERATOR, listed)]
    up = 1_795_350_873_905_000 - 61_000_000
    assert resynced(b"Event: FullyBooted\r\nUptime: 60") == [(CALL, up), (OPERATOR, up)]
    assert resynced(b"Event: FullyBooted\r\nStatus: Fully Booted") == []


@pytest.mark.parametrize("uptime", [b"", b" ", b"soon", b"-1", b"1.5", b"12 s", b"1" * 16, "٣".encode()])
def test_a_restart_whose_uptime_is_no_number_is_a_bad_part(uptime: bytes) -> None:
    """Taken for a login, it would leave the channels of before the restart up for ever."""
    routed = read_ami(b"Event: FullyBooted\r\nUptime: " + uptime, HEADERS)

    assert not routed.facts
    assert [str(bad) for bad in routed.bad] == ["wrong_type at $.Uptime (expected: whole seconds)"]


def test_what_holds_for_a_whole_pbx_is_never_later_than_its_record() -> None:
    ahead = b"Event: CoreShowChannelsComplete\r\nTimestamp: 1795437273.5\r\n"
    member = b"Event: QueueMemberStatus\r\nTimestamp: 1795437273.5\r\nQueue: q\r\nInterface: PJSIP/1\r\n"
    published_ms = 1_795_350_873_999
    (listed,) = read_ami(ahead, HEADERS, Conventions(), published_ms).facts
    (known,) = read_ami(member, HEADERS, Conventions(), published_ms).facts

    assert isinstance(listed.fact, Resynced)
    assert isinstance(known.fact, MemberSeen)
    assert listed.fact.at_us == published_ms * 1000 - 1_000_000
    assert known.fact.at_us == published_ms * 1000


EARLIEST_MS = 1_230_768_000_000
DAY_MS = 86_400_000


@pytest.mark.parametrize("published_ms", [None, 1_795_350_873_000])
@pytest.mark.parametrize("is_stamped", [True, False])
def test_an_event_lies_between_2009_and_a_day_after_its_record(
    published_ms: int | None, is_stamped: bool
) -> None:
    def is_read(at_ms: int) -> bool:
        value, headers = HANGUP, HEADERS
        if is_stamped:
            value = HANGUP.replace(b"1795350873.904228", b"%d.%03d" % divmod(at_ms, 1000))
        else:
            value = HANGUP.replace(b"Timestamp: 1795350873.904228\r\n", b"")
            headers = (HEADERS[0], ("received_at", b"%d" % at_ms), HEADERS[2])
        routed = read_ami(value, headers, Conventions(), published_ms)
        assert [bad.reason for bad in routed.bad] == ([] if routed.facts else ["bad_time"])
        return bool(routed.facts)

    latest_ms = 253_402_300_799_999 if published_ms is None else published_ms + DAY_MS
    assert [is_read(EARLIEST_MS + more) for more in (-1, 0, 1)] == [False, True, True]
    assert [is_read(latest_ms + more) for more in (-1, 0, 1)] == [True, True, False]


QUEUE_JOIN = HANGUP.replace(b"Event: Hangup", b"Event: QueueCallerJoin\r\nQueue: %s")


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_queues_name_is_a_digest_where_it_is_longer_than_any(over: int) -> None:
    name = "é" * 20 + "q" * (QUEUE_NAME.most - 40 + over)
    member = f"Event: QueueMemberAdded\r\nQueue: {name}\r\nInterface: PJSIP/201".encode()
    (known,) = read_ami(member, HEADERS).facts
    assert isinstance(known.fact, MemberSeen)

    digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    assert hangup(QUEUE_JOIN.replace(b"%s", name.encode())).detail == (digest if over > 0 else name)
    assert known.fact.queue == (digest if over > 0 else name)


def test_a_pbx_is_bound_to_the_tenant_of_its_records_unless_these_allow_any() -> None:
    value = HANGUP.replace(b"Cause: 16", b"Tenantid: t3\r\nChanVariable: TENANT_ID=t2")
    bound, free = hangup(value), hangup(value, (*HEADERS, ("tenants", b"any")))

    tenants = [
        {r: v for r, v in fact.channels[0].variables.items() if "tenant" in r} for fact in (bound, free)
    ]
    assert tenants == [{"tenant_bound": "t1"}, {"tenant": "t2", "tenant_header": "t1", "tenant_field": "t3"}]
    assert hangup(as_json(value, tenants="any")) == free


def test_a_response_to_originate_knows_its_channel_or_not() -> None:
    def response(unique: bytes) -> Originated:
        packet = b"Event: OriginateResponse\r\nActionID: a1\r\nReason: 5\r\nUniqueid: " + unique
        (keyed,) = read_ami(packet, HEADERS).facts
        assert isinstance(keyed.fact, Originated)
        return keyed.fact

    assert (response(b"<unknown>").unique, response(b"x.1").unique, response(b"x.1").reason) == ("", "x.1", 5)


def test_a_member_of_a_queue_is_an_operator_in_events_and_in_lists() -> None:
    event = (
        b"Event: QueueMemberStatus\r\nTimestamp: 1795350873.9\r\nQueue: sales\r\nMemberName: Ann\r\n"
        b"Interface: PJSIP/201\r\nStatus: 2\r\nPaused: 1\r\nPausedReason: lunch\r\nInCall: 1\r\n"
    )
    listed = event.replace(b"MemberName", b"Name").replace(b"Interface", b"Location")
    facts = [read_ami(one, HEADERS).facts[0].fact for one in (event, listed.replace(b"Status\r", b"\r"))]

    assert isinstance(facts[0], MemberSeen)
    assert facts[0] == facts[1]
    assert (facts[0].interface, facts[0].status, facts[0].reason, facts[0].in_call) == (
        *("PJSIP/201", 2, "lunch"),
        True,
    )


FIELDS = st.sampled_from(
    [
        *("Event", "Uniqueid", "Channel", "Linkedid", "DestUniqueid", "DestChannel", "Timestamp", "Queue"),
        *("ChanVariable", "BridgeUniqueid", "Cause", "DialStatus", "Interface", "Uptime", "ActionID"),
        "Reason",
    ]
)
VALUES = st.sampled_from(
    ["Hangup", "DialEnd", "BridgeEnter", "QueueMember", "a.1", "<unknown>", "", "6", "\0"]
)


@given(st.lists(st.tuples(FIELDS | st.text(max_size=6), VALUES | st.text(max_size=12)), max_size=12))
@example([("Event", "DialEnd"), ("Uniqueid", "a"), ("Channel", "b"), ("DialStatus", "x" * 3_000_000)])
def test_whatever_a_packet_holds_it_is_facts_of_bounded_size_or_one_bad_part(
    lines: list[tuple[str, str]],
) -> None:
    text = "\r\n".join(f"{name}: {value}" for name, value in lines).encode("utf-8", "replace")
    listed: dict[str, list[str]] = {}
    for name, value in lines:
        listed.setdefault(name, []).append(value)
    for record in (text, orjson.dumps(listed)):
        routed = read_ami(record, HEADERS)
        assert len(routed.bad) <= 1
        assert all(len(packed(keyed.fact)) < FACT_LIMIT_BYTES // 10 for keyed in routed.facts)


@given(st.binary(max_size=200))
def test_any_bytes_are_read(value: bytes) -> None:
    assert len(read_ami(value, HEADERS).bad) <= 1


@pytest.mark.parametrize(
    "entries", list(permutations(("__CAMPAIGN_ID= 4002 ", "CAMPAIGN_ID=4001", "CAMPAIGN_ID=" + "1" * 129)))
)
def test_of_several_values_in_one_event_the_smallest_holds_and_no_longer_one_than_an_id(
    entries: tuple[str, ...],
) -> None:
    lines = "".join(f"ChanVariable: {entry}\r\n" for entry in entries).encode()
    value = HANGUP.replace(b"ChanVariable: CAMPAIGN_ID=4001\r\n", lines)

    assert hangup(value).channels[0].variables["campaign"] == "4001"
    assert hangup(value.replace(b"=4001", b"=")).channels[0].variables["campaign"] == "4002"
