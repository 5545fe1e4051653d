"""With one invalid field in an event, chosen at random, fold and plain SQL agree on the rest of the event.

Each case has a tenant, campaigns, a business number and a PBX of its own, and good neighbours whose numbers
show what the odd event connected. Cases share a run of the recount.
"""

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tally.oracle.comparison import differences
from tally.simulator.records import AMI_EVENTS, SEND_RESULTS, WEBHOOK_EVENTS, Json, RawRecord
from tests.integration.test_fold_against_recount import START_S, answers, folded, recounted
from tests.support.seeds import seeds

CASES = 600
WRITTEN = {
    "@1e0": "1e0",
    "@-0": "-0",
    "@1.0": "1.0",
    "@beyond 64 bits": "18446744073709551616",
    "@64 bits": "18446744073709551615",
    "@ms.0": f"{START_S}000.0",
    "@NUL": '"a\\u0000b"',
    "@twice": '1,"again":2',
}
"""Values that a JSON writer would not write in this way, by what stands for them."""
LONG = ("x" * 64, "x" * 65, "x" * 128, "x" * 129, "x" * 257, "x" * 513, "é" * 300, "😀" * 129)
TIMES = (
    *(START_S, f"{START_S}", START_S * 1000, f"{START_S * 1000}", "2026-11-22T24:00:00Z"),
    *(
        "2026-11-22T12:00:00+05:60",
        "2026-11-22 12:00:00+23:59",
        "2026-11-22t12:00:00.1239z",
        "2026-02-30T12:00:00Z",
    ),
)
ODD: tuple[Any, ...] = (
    *(
        None,
        "",
        0,
        1,
        -1,
        True,
        False,
        "0",
        "1",
        "01",
        " 1 ",
        {},
        [],
        ["a"],
        {"code": 131026},
        {"a": 1},
        [{}],
    ),
    *(
        "unknown",
        "UnKnown",
        "un\u212anown",
        "\u0130",
        "\u0660\u0660",
        "١٢",
        "²",
        "+0 0",
        "000",
        "a\n",
        "0\n",
        "a/b",
        "*",
    ),
    *("550E8400-E29B-41D4-A716-446655440000", "first", "131026", 131026),
    *TIMES,
    *LONG,
    *WRITTEN,
)
ABSENT = object()
PHONES = ("31600000001", "31600000002")


def send(nth: int, **fields: Any) -> Json:
    return {
        **{"tenant": f"t{nth}", "channel": "whatsapp", "campaign": f"c{nth}", "attempt": "1"},
        **{"contact": {"id": "k", "phone": PHONES[0], "wa_id": PHONES[1], "user_id": "U1"}},
        **{"template": {"name": "promo", "language": "nl", "id": 7}, "phone_number_id": f"n{nth}"},
        **{"outcome": "accepted", "message_id": "odd", "time": START_S * 1000},
        **fields,
    }


def called(nth: int, outcome: str) -> Json:
    call = {
        "action_id": "act",
        "channel_id": "ch",
        "unique_id": "u",
        "linked_id": "l",
        "customer_leg": "first",
    }
    error = {"source": "pbx", "code": 17}
    return send(nth, channel="voice", outcome=outcome, pbx=f"pbx{nth}", call=call, error=error)


def hook(nth: int, field: str = "messages", **value: Any) -> Json:
    change = {"field": field, "value": {"metadata": {"phone_number_id": f"n{nth}"}, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


STATUS = {
    **{"id": "odd", "status": "failed", "timestamp": str(START_S + 60), "type": "message"},
    **{"recipient_id": PHONES[1], "recipient_user_id": "U1", "recipient_type": "individual"},
    **{"errors": [{"code": 131026}], "pricing": {"category": "marketing", "type": "regular"}},
}
OF_A_GROUP = {
    **{"recipient_type": "group", "recipient_participant_id": PHONES[0]},
    "recipient_participant_user_id": "U1",
}
MESSAGE = {
    **{"id": "in", "type": "button", "timestamp": str(START_S + 90), "context": {"id": "a"}},
    **{"from": PHONES[0], "from_user_id": "U1"},
    "system": {"wa_id": PHONES[1], "new_wa_id": PHONES[0], "user_id": "U1"},
}
ENTRY = {"wa_id": PHONES[0], "user_id": "U1", "parent_user_id": "U2"}
RENAME = {
    "wa_id": PHONES[1],
    "user_id": {"previous": "U1", "current": "U3"},
    "parent_user_id": {"current": "U2"},
}


def events(nth: int) -> Iterator[tuple[str, Json]]:
    """Yield good events, each with one field or more of every kind."""
    yield SEND_RESULTS, send(nth, v=1, retry_of="x", error={"source": "meta", "code": 131026}, reason="r")
    yield SEND_RESULTS, send(nth, outcome="failed", error={"source": "meta", "code": 131026})
    yield SEND_RESULTS, send(nth, outcome="skipped", reason="r")
    yield SEND_RESULTS, send(nth, campaign=None)
    yield from (
        (SEND_RESULTS, called(nth, outcome)) for outcome in ("requested", "accepted", "failed", "queued")
    )
    yield WEBHOOK_EVENTS, hook(nth, statuses=[STATUS], contacts=[ENTRY])
    yield WEBHOOK_EVENTS, hook(nth, statuses=[{**STATUS, **OF_A_GROUP, "status": "read"}])
    yield WEBHOOK_EVENTS, hook(nth, messages=[MESSAGE], contacts=[ENTRY])
    yield WEBHOOK_EVENTS, hook(nth, messages=[{**MESSAGE, "type": "system"}])
    anonymous = {name: value for name, value in MESSAGE.items() if not name.startswith("from")}
    yield WEBHOOK_EVENTS, hook(nth, messages=[anonymous], contacts=[ENTRY])
    yield WEBHOOK_EVENTS, hook(nth, "user_id_update", user_id_update=[RENAME], contacts=[ENTRY])
    yield from ((AMI_EVENTS, packet) for packet in packets(nth))


def packets(nth: int) -> Iterator[Json]:
    variables = [f"CAMPAIGN_ID=c{nth}", "CONTACT_ID=k", "ATTEMPT_ID=1"]
    own = {"pbx": f"pbx{nth}", "tenant": f"t{nth}", "tenants": "any", "received_at": str(START_S * 1000)}
    channel = {"Channel": "PJSIP/a-1", "Uniqueid": "u", "Linkedid": "l", "ChannelState": "6"}
    at = {"Timestamp": f"{START_S}.250000"}
    yield {"Event": "Newchannel", **at, **channel, "ChanVariable": variables, **own}
    yield {"Event": "Newchannel", **channel, "ChanVariable": variables, "Tenantid": f"t{nth}", **own}
    dialled = {f"Dest{name}": value for name, value in channel.items()}
    yield {"Event": "DialBegin", **at, **dialled, "DestChanVariable": variables, **own}
    yield {"Event": "VarSet", **at, **channel, "Variable": "CONTACT_ID", "Value": "k", **own}
    yield {"Event": "Hangup", **at, **channel, "Cause": "17", "ChanVariable": variables, **own}
    yield {"Event": "QueueCallerJoin", **at, **channel, "Queue": "sales", "ChanVariable": variables, **own}
    yield {"Event": "OriginateResponse", **at, "ActionID": "act", "Uniqueid": "u", "Reason": "5", **own}


def neighbours(nth: int) -> Iterator[tuple[str, Json]]:
    """Yield what shows who the odd event connected, and what became of its message and call."""
    campaign = f"good{nth}"
    contacts = ({"phone": PHONES[0]}, {"phone": PHONES[1]}, {"user_id": "U1"}, {"user_id": "U2"})
    for name, who in zip("abcd", contacts, strict=True):
        yield SEND_RESULTS, send(nth, campaign=campaign, contact={"id": name, **who}, message_id=name)
    other = {"id": "odd", "phone": "31600000009"}
    yield SEND_RESULTS, send(nth, campaign=campaign, contact=other, message_id="odd", time=START_S * 1000 + 1)
    yield SEND_RESULTS, called(nth, "requested") | {"campaign": campaign}
    yield AMI_EVENTS, next(packets(nth)) | {"Uniqueid": "u", "Timestamp": f"{START_S + 1}.0"}


def places(part: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for name, value in part.items() if isinstance(part, dict) else enumerate(part):
        yield (*above, name)
        if isinstance(value, dict | list):
            yield from places(value, (*above, name))


def with_odd(event: Json, place: tuple[Any, ...], value: Any) -> Json:
    event = copy.deepcopy(event)
    part: Any = event
    for name in place[:-1]:
        part = part[name]
    if value is ABSENT:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return event


def written(topic: str, event: Json) -> RawRecord:
    text = json.dumps(event)
    for stand_in, value in WRITTEN.items():
        text = text.replace(json.dumps(stand_in), value)
    return RawRecord(topic, None, text.encode())


def case(rng: random.Random, nth: int) -> list[RawRecord]:
    topic, event = rng.choice(list(events(nth)))
    odd = with_odd(event, rng.choice(list(places(event))), rng.choice((ABSENT, *ODD)))
    records = [written(*one) for one in ((topic, odd), *neighbours(nth))]
    rng.shuffle(records)
    return records


async def assert_both_count_the_same(database: str, records: Sequence[RawRecord]) -> None:
    expected = await recounted(database, records)

    assert expected
    assert differences(expected, answers(folded(records))) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds((1,)))
async def test_both_count_the_same_of_events_with_an_odd_field(database: str, seed: int) -> None:
    rng = random.Random(seed)

    await assert_both_count_the_same(database, [one for nth in range(CASES) for one in case(rng, nth)])


@pytest.mark.asyncio
async def test_both_count_the_same_whatever_headers_a_packet_has(database: str) -> None:
    values = (
        None,
        b"",
        b"caf\xe9",
        "café".encode(),
        b"a\0b",
        b"x" * 128,
        b"x" * 129,
        b"any",
        b"all",
        b"1e3",
        b"-1",
    )
    records: list[RawRecord] = []
    for name in ("pbx", "tenant", "tenants", "received_at"):
        for value in values:
            nth = len(records)
            packet = next(packets(nth))
            own = {key: packet.pop(key).encode() for key in ("pbx", "tenant", "tenants", "received_at")}
            headers = tuple({**own, name: value, "a\0": b"\0"}.items())
            records.append(RawRecord(AMI_EVENTS, None, json.dumps(packet).encode(), headers))

    await assert_both_count_the_same(database, records)
