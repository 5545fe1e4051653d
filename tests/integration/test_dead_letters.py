"""Dead letters on a real broker are written at any size, and read back among foreign records."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from hashlib import sha256

import orjson
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError
from typer.testing import CliRunner

from tally.agents.clock import unix_ms
from tally.schemas.bounds import LETTER_END, MIB
from tally.schemas.topics import DEAD_LETTERS
from tally.streams.cli.main import application
from tally.streams.operations import dead_letters, doctor, topics
from tally.streams.operations.looks import Looks
from tally.streams.settings import Settings, variable
from tally.tables.kafka.dead_letters import DeadLetter, DeadLetters
from tally.tables.kafka.read_to_end import read_to_end
from tests.support.transport import producing

pytestmark = pytest.mark.asyncio

FOREIGN = b"hello"
HOSTILE = b"\x1b]52;c;aGVsbG8=\x07[/bold]"


class Raw:
    key = None

    def __init__(self, offset: int, value: bytes) -> None:
        self.offset = offset
        self.value = value


def letter(settings: Settings, offset: int, value: bytes, detail: str = "not_json at $") -> DeadLetter:
    return DeadLetter(settings.names.raw("send-results"), 0, Raw(offset, value), "not_json", detail)


@pytest_asyncio.fixture
async def keeping(settings: Settings) -> AsyncIterator[DeadLetters]:
    """Declare topics, publish ten raw records, and yield who keeps dead letters."""
    await topics.declare(settings)
    async with producing(settings.kafka_bootstrap) as producer:
        for number in range(10):
            await producer.send_and_wait(settings.names.raw("send-results"), b"%d" % number, partition=0)
    made = DeadLetters(settings.kafka, settings.names.raw(DEAD_LETTERS), unix_ms)
    await made.start()
    yield made
    await made.close()


async def asked(settings: Settings, *arguments: str) -> tuple[int, str]:
    """Run `tally dead-letters`; return exit code and output."""
    environment = {
        variable("kafka_bootstrap"): settings.kafka_bootstrap,
        variable("topic_prefix"): settings.topic_prefix,
    }
    found = await asyncio.to_thread(
        CliRunner().invoke, application(), ["dead-letters", *arguments], env=environment
    )
    return found.exit_code, found.stdout


async def test_records_of_others_are_passed_over_wherever_dead_letters_are_read(
    settings: Settings, keeping: DeadLetters
) -> None:
    topic = settings.names.raw(DEAD_LETTERS)
    async with producing(settings.kafka_bootstrap) as producer:
        await producer.send_and_wait(topic, FOREIGN, partition=0)
        await producer.send_and_wait(topic, key=b"key", partition=1)
        await producer.send_and_wait(topic, FOREIGN, partition=2, headers=[("topic", b"x"), ("at", b"y")])
    await keeping.write([letter(settings, offset, HOSTILE, HOSTILE.decode()) for offset in range(5)])
    await keeping.write([letter(settings, 3, HOSTILE, HOSTILE.decode())])

    found = await dead_letters.summary(settings, limit=2)
    listed_code, listed = await asked(settings, "list", "--limit", "2")
    shown_code, shown = await asked(settings, "show", found.newest[0].origin)
    json_code, as_json = await asked(settings, "show", found.newest[0].origin, "--json")

    assert (found.by_reason, found.foreign, len(found.newest)) == ({"not_json": 5}, 3, 2)
    assert (listed_code, shown_code, json_code) == (0, 0, 0)
    assert "5 dead letters: not_json 5; 3 records of the topic are none" in listed
    assert orjson.loads(as_json)["value"] == HOSTILE.decode()
    for text in (listed, shown, as_json):
        assert not {"\x1b", "\x07"} & set(text)
        assert "[/bold]" in text
    assert await doctor._dead_letters(Looks(settings)) == "not_json: 5, and 3 records that are none"


async def test_one_letter_is_found_by_its_origin_whether_its_record_is_still_there_or_not(
    settings: Settings, keeping: DeadLetters
) -> None:
    await keeping.write([letter(settings, offset, b"value %d" % offset) for offset in range(12)])
    raw = settings.names.raw("send-results")

    found = [await dead_letters.find(settings, f"{raw}/0/{offset}") for offset in (0, 9, 10, 11, 12)]
    elsewhere = await dead_letters.find(settings, "no-such-topic/0/1")

    assert [one and one.value for one in found] == [*(b"value %d" % n for n in (0, 9, 10, 11)), None]
    assert elsewhere is None
    assert (await asked(settings, "show", f"{raw}/0/9", "--raw")) == (0, "value 9")
    assert (await asked(settings, "show", f"{raw}/0/12"))[0] == 1
    for no_origin in ("nothing", f"{raw}/0/x"):
        assert (await asked(settings, "show", no_origin))[0] == 2


async def until_refused(settings: Settings, topic: str, value: bytes) -> None:
    """Wait until a broker has heard that it takes less; what it took until then is no letter."""
    producer = AIOKafkaProducer(**settings.kafka.client(), max_request_size=2 * len(value))
    await producer.start()
    try:
        async with asyncio.timeout(30):
            for partition in await producer.partitions_for(topic):
                while not await _is_refused(producer, topic, partition, value):
                    await asyncio.sleep(0.1)
    finally:
        await producer.stop()


async def _is_refused(producer: AIOKafkaProducer, topic: str, partition: int, value: bytes) -> bool:
    try:
        await producer.send_and_wait(topic, value, partition=partition)
    except MessageSizeTooLargeError:
        return True
    return False


@pytest.mark.parametrize(("most_bytes", "kept_bytes"), [(1_000_000, 2 * LETTER_END.most), (2_000, 512)])
async def test_a_broker_that_takes_less_gets_less(
    settings: Settings, keeping: DeadLetters, most_bytes: int, kept_bytes: int
) -> None:
    topic = settings.names.raw(DEAD_LETTERS)
    value, small = b"<" + bytes(3 * MIB) + b">", [b"%d" % number for number in range(20)]
    async with topics.admin(settings) as client:
        config = {"max.message.bytes": str(most_bytes)}
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
    await until_refused(settings, topic, bytes(3 * MIB))

    await keeping.write([letter(settings, offset, one) for offset, one in enumerate([value, *small])])
    await keeping.write([letter(settings, 21, b"afterwards")])

    letters = await dead_letters.read(settings)
    large = next(one for one in letters if one.size_bytes == len(value))
    assert {one.value for one in letters} >= {*small, b"afterwards"}
    assert (len(large.value), large.sha256) == (kept_bytes, sha256(value).hexdigest())
    assert (large.value[:1], large.value[-1:]) == (b"<", b">")


async def records_in(settings: Settings, topic: str) -> list[tuple[bytes | None, bytes, dict[str, bytes]]]:
    async with aclosing(read_to_end(settings.kafka, [settings.names.raw(topic)], 30)) as records:
        return [(one.key, one.value, dict(one.headers)) async for one in records]


async def test_letters_are_grouped_by_topic_reason_and_path(settings: Settings, keeping: DeadLetters) -> None:
    said = [f"bad_time at $.statuses[{n}].timestamp (expected: unix seconds)" for n in range(3)]
    details = [said[0], said[1], "; ".join(said), "missing_field at $.time (expected: unix ms)"]
    await keeping.write([letter(settings, n, b"%d" % n, detail) for n, detail in enumerate(details)])

    code, found = await asked(settings, "--json")

    raw = settings.names.raw("send-results")
    assert code == 0
    assert [tuple(group.values())[:5] for group in orjson.loads(found)] == [
        (raw, "bad_time", "$.statuses[].timestamp", "unix seconds", 3),
        (raw, "missing_field", "$.time", "unix ms", 1),
    ]
    code, found = await asked(settings)
    assert code == 0
    assert "4 dead letters" in found
    assert (await asked(settings, "--since", "yesterday"))[0] == 2
    assert (await asked(settings, "--since", "2026-11-30T00:00:00"))[0] == 2


async def test_letters_are_published_again_byte_for_byte_and_again_without_harm(
    settings: Settings, keeping: DeadLetters
) -> None:
    ami = settings.names.raw("ami-events")
    own: list[tuple[str, bytes | None]] = [("pbx", b"p1"), ("tenant", None)]
    event = DeadLetter(ami, 0, Raw(3, HOSTILE), "bad_packet", "bad_packet at $ (expected: lines)", own)
    await keeping.write(
        [event, letter(settings, 4, b"other"), letter(settings, 5, b"", "not_json at a batch, x")]
    )
    expected = (None, HOSTILE, {"pbx": b"p1", "tenant": None, "replay-of": f"{ami}/0/3".encode()})

    assert (await asked(settings, "replay", "--reason", "bad_packet", "--dry-run"))[0] == 0
    assert await records_in(settings, "ami-events") == []
    assert await asked(settings, "replay", "--reason", "bad_packet", "--since", "1h") == (
        0,
        "1 dead letters published again: ami-events 1\n",
    )
    assert await records_in(settings, "ami-events") == [expected]

    # Still bad: route keeps it again, and it is the same letter as before.
    again = DeadLetter(ami, 0, Raw(0, HOSTILE), "bad_packet", event.detail, expected[2].items())
    await keeping.write([again])
    code, found = await asked(settings, "replay")

    assert code == 0
    assert "2 dead letters published again: ami-events 1, send-results 1\n1 left out: batches" in found
    assert await records_in(settings, "ami-events") == [expected, expected]
    assert len(await dead_letters.read(settings)) == 3
    for wrong in (("--reason", "bad"), ("--topic", "facts"), ("--since", "2 days")):
        assert (await asked(settings, "replay", *wrong))[0] == 2
