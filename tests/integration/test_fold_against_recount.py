"""Route, families and fold, without servers between them, equal the recount in plain SQL."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from tally.agents.view.answer import campaign_answer
from tally.oracle.comparison import SAID, Numbers, differences
from tally.oracle.judgement import OPERATORS, recounted_tables
from tally.oracle.recount import begin, connect, copy_numbers, headers_of, recount
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.grains import RowKey
from tally.schemas.keys import partition_of
from tally.schemas.numbers import Number, numbers_of
from tally.schemas.records import Keyed
from tally.schemas.rows import Row, decode_row
from tally.schemas.sources import READERS
from tally.simulator.calls import voice
from tally.simulator.campaign import campaign
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import (
    AMI_EVENTS,
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    RawRecord,
    as_meta_writes,
    as_producers_write,
)
from tally.tables.families.customer.state import Most
from tally.tables.rules import Rules
from tests.faults.events import troubled
from tests.support.customers import bounds
from tests.support.partition import MemoryPartition
from tests.support.seeds import seeds

PARTITIONS = 4
BATCH = 200
START_S = 1_795_350_873
PUBLISHED_MS = (START_S + 90 * 86_400) * 1000
"""Kafka's time of every record: later than all that is simulated, but for clocks that are years ahead."""
HALVES = 820419
"""Among what this seed loses is every event that shows campaign and contact of some channels together."""

Stream = Callable[[random.Random], list[RawRecord]]
Key = tuple[str, ...]

FEW = Size(campaigns_per_tenant=2, contacts_per_campaign=10, calls_per_campaign=12)
STREAMS: dict[str, Stream] = {
    "voice in order": lambda rng: voice(rng, START_S, replace(FEW, late_at_most_s=0)),
    "mixed without any order": lambda rng: mixed(rng, START_S, FEW),
    "troubled": lambda rng: troubled(rng, mixed(rng, START_S, replace(FEW, late_at_most_s=2))),
}
LOST_SHARE = 0.3


def folded(
    records: Sequence[RawRecord], numbers: Mapping[str, Number] = MappingProxyType({})
) -> list[MemoryPartition]:
    conventions = structs.replace(CONVENTIONS, numbers=numbers_of(numbers))
    facts: defaultdict[int, list[Keyed]] = defaultdict(list)
    for record in records:
        for keyed in READERS[record.topic](record.value, record.headers, conventions, PUBLISHED_MS).facts:
            facts[partition_of(keyed.key, PARTITIONS)].append(keyed)
    partitions = [MemoryPartition() for _ in range(PARTITIONS)]
    for number, of_it in facts.items():
        for first in range(0, len(of_it), BATCH):
            partitions[number].fold(of_it[first : first + BATCH], Rules())
    return partitions


def answers(partitions: Sequence[MemoryPartition]) -> dict[Key, Numbers]:
    """Return the numbers of every campaign and template as the read API gives them."""
    campaigns: defaultdict[Key, list[tuple[int, RowKey, Row]]] = defaultdict(list)
    for number, partition in enumerate(partitions):
        for key, value in partition.rows():
            row = RowKey.decode(key)
            campaigns[row.tenant, row.campaign].append((number, row, decode_row(value)))
    found: dict[Key, Numbers] = {}
    for name, rows in campaigns.items():
        if name[1] == "":
            found.update(operators(rows))
            continue
        answer = campaign_answer(rows)
        found[name] = {said: answer[said] for said in SAID} | answer["totals"]
        for part in answer["templates"]:
            found[(*name, part["template"]["name"], part["template"]["language"])] = part["counters"]
    return found


def operators(rows: Sequence[tuple[int, RowKey, Row]]) -> dict[Key, Numbers]:
    """Return what rows without a campaign say that calls counted for operators."""
    return {
        (key.tenant, OPERATORS, key.template.name, key.template.language): row.counts
        for _, key, row in rows
        if key.template
    }


async def recounted(
    dsn: str,
    records: Sequence[RawRecord],
    most: Mapping[str, int] = MappingProxyType({}),
    numbers: Mapping[str, Number] = MappingProxyType({}),
) -> dict[Key, Numbers]:
    """Return what plain SQL counts, with the bounds of the registry but for those that are given."""
    connection: asyncpg.Connection[asyncpg.Record] = await connect(dsn)
    try:
        await begin(connection)
        rows = [
            (
                record.topic,
                0,
                offset,
                PUBLISHED_MS,
                record.value,
                headers_of(record.topic, record.key, record.headers),
            )
            for offset, record in enumerate(records)
        ]
        await connection.copy_records_to_table("raw", schema_name="recount", records=rows)
        await copy_numbers(connection, numbers)
        for bound in most.items():
            await connection.execute("UPDATE recount.bound SET most = $2 WHERE name = $1", *bound)
        await recount(connection)
        return await recounted_tables(connection)
    finally:
        await connection.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
async def test_every_counter_of_every_campaign_and_template_is_what_plain_sql_counts(
    recount_database: str, seed: int
) -> None:
    records = campaign(random.Random(seed), START_S, Size(contacts_per_campaign=60))
    expected = await recounted(recount_database, records)

    assert len(expected) > 20
    assert differences(expected, answers(folded(records))) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
async def test_every_counter_of_calls_and_operators_is_what_plain_sql_counts(
    recount_database: str, seed: int
) -> None:
    records = voice(random.Random(seed), START_S, Size(calls_per_campaign=40))
    expected = await recounted(recount_database, records)

    assert any(row.get("talk_ms") for row in expected.values())
    assert differences(expected, answers(folded(records))) == []


IN_A_GROUP = {"recipient_type": "group", "recipient_id": 7, "recipient_participant_id": "31600000001"}
SENDER = {"from": "31600000001"}
MESSAGE = {"id": "in", "type": "text", "timestamp": str(START_S + 60)}
ENTRY = {"wa_id": "31600000001"}
VALUES: tuple[dict[str, Any], ...] = (
    {"statuses": [{}], "messages": [{}], "contacts": True},
    {"statuses": [{}], "messages": "x"},
    {"statuses": 7, "messages": [{}]},
    {"statuses": [{}], "messages": [{}], "errors": {"code": 1}},
    {"statuses": [{"recipient_id": 7}]},
    {"statuses": [{"recipient_participant_id": 7}]},
    {"statuses": [IN_A_GROUP]},
    {"statuses": [{**IN_A_GROUP, "recipient_participant_id": 7}]},
    {"messages": [{"context": "x"}]},
    {"messages": [{"system": 7}]},
    {"messages": [{"system": {"wa_id": 7}}]},
    {"messages": [{"type": "system", "system": 7}]},
    {"messages": [{"type": "system", "system": {"previous_user_id": 7}}]},
    {"messages": [{"from": ""}]},
    {"messages": [{"from": "", "type": "reaction"}]},
    {"messages": [{"from": ""}], "contacts": [ENTRY]},
    {"messages": [{"from": ""}], "contacts": [ENTRY, ENTRY]},
    {"messages": [{"from": ""}], "contacts": [{"wa_id": ""}]},
    {"messages": [{"from": ""}], "contacts": [{"wa_id": 7}]},
    {"messages": [{"from": ""}], "contacts": [{**ENTRY, "user_id": 7}]},
)
"""Of webhooks with parts that are no such parts, what differs from a good status and a good quote."""


def bodies(nth: int, value: dict[str, Any]) -> list[RawRecord]:
    """Return a send of a campaign of its own, and a webhook that speaks of its message."""
    wamid = f"wamid.{nth}"
    status = {"id": wamid, "status": "read", "timestamp": str(START_S + 60)}
    message = {**MESSAGE, **SENDER, "context": {"id": wamid}}
    parts = {
        name: [base | part for part in value[name]] if type(value[name]) is list else value[name]
        for name, base in (("statuses", status), ("messages", message))
        if name in value
    }
    hook = {"metadata": {"phone_number_id": f"n{nth}"}, **value, **parts}
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"changes": [{"field": "messages", "value": hook}]}],
    }
    send = {
        **{
            "tenant": "t1",
            "channel": "whatsapp",
            "campaign": nth,
            "outcome": "accepted",
            "message_id": wamid,
        },
        **{
            "contact": {"id": 1, "phone": "31600000001"},
            "phone_number_id": f"n{nth}",
            "time": START_S * 1000,
        },
    }
    return [
        RawRecord(SEND_RESULTS, None, as_producers_write(send)),
        RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(body)),
    ]


@pytest.mark.asyncio
async def test_what_is_a_bad_part_for_the_reader_is_one_for_plain_sql_too(recount_database: str) -> None:
    records = [record for nth, value in enumerate(VALUES) for record in bodies(nth, value)]
    expected = await recounted(recount_database, records)

    assert len({row.get("read", 0) for row in expected.values()}) == 2
    assert len({row.get("replied_quoted", 0) for row in expected.values()}) == 2
    assert differences(expected, answers(folded(records))) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "event", ["DialBegin", "DialEnd", "AgentConnect", "AgentRingNoAnswer", "LocalBridge", "AttendedTransfer"]
)
async def test_all_that_an_event_shows_of_a_channel_holds_where_it_shows_it_twice(
    recount_database: str, event: str
) -> None:
    whole = {"Channel": "SIP/a-01", "Uniqueid": "u1", "Linkedid": "u1", "ChannelState": "6"}
    again = {"Channel": "SIP/a-01", "Uniqueid": "u1", "Linkedid": "u1"}
    body = {
        **{"Event": event, "pbx": "pbx-0", "Timestamp": f"{START_S}.000000", "DialStatus": "NOANSWER"},
        **{"Queue": "sales", "Interface": "SIP/a", **whole},
        **{"ChanVariable": ["CAMPAIGN_ID=v1", "CONTACT_ID=1", "TENANT_ID=t1"]},
        **{
            f"{name}{field}": said
            for name in ("Dest", "LocalOne", "Transferee")
            for field, said in again.items()
        },
    }
    records = [RawRecord(AMI_EVENTS, None, as_producers_write(body))]
    expected = await recounted(recount_database, records)

    assert expected["t1", "v1"]["answered"] == 1
    assert differences(expected, answers(folded(records))) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
async def test_facts_that_contradict_each_other_count_as_plain_sql_decides(
    recount_database: str, seed: int
) -> None:
    rng = random.Random(seed)
    size = Size(contacts_per_campaign=60, calls_per_campaign=20)
    records = troubled(rng, mixed(rng, START_S, size))
    expected = await recounted(recount_database, records)

    assert len(expected) > 20
    assert differences(expected, answers(folded(records))) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
@pytest.mark.parametrize(("links", "messages"), [(1, 3), (1, 20), (20, 2)])
async def test_identifiers_that_connect_too_much_identify_nobody_in_plain_sql_either(
    recount_database: str, links: int, messages: int, seed: int
) -> None:
    rng = random.Random(seed)
    records = troubled(rng, campaign(rng, START_S, Size(contacts_per_campaign=30)))
    most = {"identifier_links": links, "identifier_messages": messages}
    expected = await recounted(recount_database, records, most)
    with bounds(Most(links=links, messages=messages)):
        found = answers(folded(records))

    assert expected != await recounted(recount_database, records)
    assert differences(expected, found) == []


def parts(rng: random.Random, records: Sequence[RawRecord]) -> Iterator[list[RawRecord]]:
    """Yield two moments of a stream, and the stream with events lost."""
    for _ in range(2):
        yield list(records[: rng.randrange(len(records))])
    yield [record for record in records if rng.random() >= LOST_SHARE]


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", [*seeds(fixed=(3,)), HALVES])
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
async def test_at_any_moment_of_a_stream_and_with_events_lost_fold_and_recount_agree(
    recount_database: str, stream: Stream, seed: int
) -> None:
    rng = random.Random(seed)

    for part in parts(rng, stream(rng)):
        expected = await recounted(recount_database, part)
        assert differences(expected, answers(folded(part))) == []
