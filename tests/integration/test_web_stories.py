"""Stories on real servers: the bytes are those that were published, while the topics hold them."""

from base64 import b64decode
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from tally.deploy import migrate
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.places import place_number
from tally.schemas.records import Origin, Traced
from tally.schemas.sources import RAW_TOPICS, READERS
from tally.streams.keys.key import Key, Presented, Scope, digest_of
from tally.streams.operations import topics
from tally.streams.settings import Settings
from tally.streams.web.story_answers import is_of_one
from tally.tables.kafka.raw_records import RawTopics
from tests.integration.test_postgres_cells import level
from tests.integration.test_postgres_lines import fold_traced, with_lines
from tests.support.call_packets import CUSTOMER, OPERATOR, agent, detected, queued_call, rings, talk
from tests.support.keys import PRESENTED
from tests.support.partition import MemoryPartition
from tests.support.transport import producing
from tests.support.web_api import Api, serving
from tests.support.whatsapp_events import NOW, PHONE, Event, a_status, contact, hook, inbound, send, status

WAMID = "wamid.HBgLMTY1MDUwNzY1MjAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
OTHER = "wamid.HBgLMTY1MDUwNzY1MjAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTgA"
SENT_TO_BOTH = hook(statuses=[a_status(WAMID, "sent", NOW + 1), a_status(OTHER, "sent", NOW + 1)])
EVENTS: list[Event] = [
    send(message_id=WAMID, contact=contact("w"), attempt="1"),
    send(message_id=OTHER, contact=contact("b", "31600000002"), attempt="1"),
    SENT_TO_BOTH,
    status(WAMID, "delivered", NOW + 3, recipient_id=PHONE),
    status(WAMID, "delivered", NOW + 3, recipient_id=PHONE),
    status(WAMID, "read", NOW + 9, recipient_id=PHONE),
    inbound(NOW + 60),
]
SEES = Presented("aaaaaaaaaaaa", "p" * 43)
READS = Presented("bbbbbbbbbbbb", "r" * 43)
THEIRS = Presented("cccccccccccc", "t" * 43)
LINES = "/v1/tenants/t1/campaigns/c1/lines"
CALL = queued_call(
    detected("HUMAN"),
    *rings(4, OPERATOR, by=CUSTOMER),
    agent(4.1, "Called", CUSTOMER, OPERATOR, "PJSIP/alice"),
    *talk(5, 9, CUSTOMER, OPERATOR),
)
Published = dict[tuple[str, int], bytes]
"""What was published, by topic and offset."""


async def published(settings: Settings) -> tuple[Published, list[Traced]]:
    """Publish the events; return their bytes, and their facts as route reads them."""
    names = settings.names
    await topics.declare(settings, only={names.raw(topic) for topic in RAW_TOPICS})
    there: Published = {}
    facts: list[Traced] = []
    async with producing(settings.kafka.bootstrap[0]) as producer:
        for topic, value, shown in [*((*event, {}) for event in EVENTS), *CALL]:
            assert value is not None
            headers = [(name, text.encode()) for name, text in shown.items()]
            sent = await producer.send_and_wait(names.raw(topic), value, partition=0, headers=headers)
            there[topic, sent.offset] = value
            origin = Origin(sent.timestamp, place_number(topic, 0, sent.offset))
            read = READERS[topic](value, headers, CONVENTIONS, sent.timestamp)
            facts += [(keyed, origin) for keyed in read.facts]
    return there, facts


def let_in(api: Api, presented: Presented, scope: Scope, tenant: str = "t1") -> None:
    key = Key(digest_of(presented.secret), ("read", scope), (tenant,), 1_790_000_000_000)
    api.keyring.put(presented.key_id, key)


async def told(api: Api, target: str, key: Presented = PRESENTED, status: int = 200) -> dict[str, Any]:
    response, body = await api.ask(target, headers={"Authorization": f"Bearer {key.text}"})
    assert response.status == status, body
    answer: dict[str, Any] = orjson.loads(body)
    return answer


def check_bytes(facts: list[dict[str, Any]], there: Published) -> None:
    for fact in facts:
        value = there[fact["topic"], fact["offset"]]
        assert fact["sha256"] == sha256(value).hexdigest()
        assert fact["size"] == len(value)
        if fact["withheld"] is None:
            assert sha256(b64decode(fact["bytes"])).hexdigest() == fact["sha256"]


@pytest.mark.asyncio
async def test_a_story_shows_what_each_record_changed_and_its_bytes_until_the_topic_deletes_them(
    database: str, settings: Settings
) -> None:
    migrate.up(database)
    there, facts = await published(settings)
    raw = RawTopics(settings.kafka, settings.names.raw, 30.0)
    async with (
        with_lines(database) as ours,
        serving(debug=False, dsn=database, generation=1, partitions=1, raw=raw) as api,
    ):
        fold_traced(ours, MemoryPartition(), facts)
        await level(ours)
        api.catch_up()
        let_in(api, SEES, "recipients")
        let_in(api, READS, "read")
        let_in(api, THEIRS, "recipients", "t2")
        (line,) = (await told(api, f"{LINES}?counter=read"))["lines"]
        by_subject = f"/v1/tenants/t1/messages/{line['subject']}"
        by_wamid = f"/v1/tenants/t1/messages/{quote(WAMID, safe='')}?number=n1"

        story = await told(api, by_subject)
        assert story == await told(api, by_wamid) | {"receipt": story["receipt"]}
        of_a_message(story, there)
        of_a_tenants_key(await told(api, by_subject, SEES), story)
        await of_a_customer(api, there)
        await of_a_call(api, there)
        await told(api, by_subject, READS, 403)
        await told(api, by_subject.replace("t1", "t2"), THEIRS, 404)
        await told(api, by_subject.replace("messages", "calls"), SEES, 404)
        await told(api, "/v1/tenants/t1/messages/nobody", SEES, 400)

        await delete_before(settings, "webhook-events", 2)
        gone = await told(api, by_subject)
        assert [fact["record"] for fact in gone["facts"]] == ["held", "gone", "gone", "held"]
        first_left = next(one for one in story["facts"] if one["kinds"] == ["read"])
        assert {fact["held_since"] for fact in gone["facts"] if fact["record"] == "gone"} == {
            gone["facts"][1]["held_since"]
        }
        assert gone["facts"][1]["held_since"] <= first_left["published_at"]
        assert [fact["changes"] is None for fact in gone["facts"]] == [False, True, True, True]
        assert not gone["is_explained"]
        assert gone["lines"] == story["lines"]
        check_bytes([fact for fact in gone["facts"] if fact["record"] == "held"], there)


def of_a_message(story: dict[str, Any], there: Published) -> None:
    facts = story["facts"]
    assert story["is_explained"]
    assert [fact["kinds"] for fact in facts] == [["accepted"], ["sent"], ["delivered"], ["read"]]
    check_bytes(facts, there)
    assert {fact["withheld"] for fact in facts} == {None}
    row = {"campaign": "c1", "template": {"name": "promo", "language": "nl"}, "operator": ""}
    accepted, *_, read = (fact["changes"] for fact in facts)
    assert accepted == [row | {"counters": {"accepted": 1, "attempts": 1, "contacts": 1}}]
    assert read[0]["counters"]["read"] == 1
    counted = {name: count for line in story["lines"] for name, count in line["counters"].items()}
    assert counted.keys() >= {"accepted", "attempts", "contacts", "sent", "delivered", "read"}


def of_a_tenants_key(seen: dict[str, Any], story: dict[str, Any]) -> None:
    """A webhook that tells of somebody else too is shown whole only to who may see every tenant."""
    sent = seen["facts"][1]
    assert (sent["withheld"], sent["bytes"]) == ("tells_of_others", None)
    assert sent["sha256"] == story["facts"][1]["sha256"]
    without = [seen["facts"][nth] for nth in (0, 2, 3)]
    assert without == [story["facts"][nth] for nth in (0, 2, 3)]


async def of_a_customer(api: Api, there: Published) -> None:
    story = await told(api, f"/v1/tenants/t1/customers/%2B{PHONE}?number=n1", SEES)
    assert story["is_explained"]
    assert [fact["kinds"] for fact in story["facts"]] == [["accepted"], ["inbound"]]
    check_bytes(story["facts"], there)
    changed = {name for one in story["facts"][1]["changes"] for name in one["counters"]}
    assert changed == {"replied", "replied_last_touch"}


async def of_a_call(api: Api, there: Published) -> None:
    """All its packets are there, also those in which nothing happened that a line names."""
    (line,) = (await told(api, f"{LINES}?counter=answered"))["lines"]
    story = await told(api, f"/v1/tenants/t1/calls/{line['subject']}", SEES)
    assert story["is_explained"]
    check_bytes(story["facts"], there)
    packets = [fact for fact in story["facts"] if fact["topic"] == "ami-events"]
    assert len(packets) == sum(topic == "ami-events" for topic, _, _ in CALL)
    (verdict,) = [one for one in packets if "answered_human" in str(one["changes"])]
    assert (verdict["kinds"], b"AMDSTATUS" in b64decode(verdict["bytes"])) == ([], True)
    by_action = await told(api, "/v1/tenants/t1/calls/act-a?number=pbx01", SEES)
    assert by_action["facts"] == story["facts"]


async def delete_before(settings: Settings, topic: str, offset: int) -> None:
    client = settings.kafka.admin(request_timeout_ms=10_000)
    await client.start()
    try:
        place = TopicPartition(settings.names.raw(topic), 0)
        await client.delete_records({place: RecordsToDelete(before_offset=offset)})
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("event", "is_one"),
    [
        (EVENTS[0], True),
        (EVENTS[3], True),
        (EVENTS[6], True),
        (SENT_TO_BOTH, False),
        (hook(statuses=[a_status(WAMID, "sent")], messages=[{"id": "x"}]), False),
        (hook(statuses=[a_status(WAMID, "sent")], contacts=[{}, {}]), False),
        (("webhook-events", b"[]"), False),
        (("webhook-events", b'{"entry":[{"changes":[]}]}'), False),
        (("webhook-events", b"\xff"), False),
    ],
)
def test_a_webhook_is_of_one_where_it_tells_of_one_alone(event: Event, is_one: bool) -> None:
    assert is_of_one(*event) is is_one
