"""The oracle: every record sent, with its result, and the comparison in SQL with what arrived."""

import asyncio
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from msgspec import Struct

from tally.simulator.records import RawRecord
from tally.streams.settings import Settings

SENT = "oracle-sent"
"""The header with the number of a record's send."""
CHUNK = 50
SEND_SECONDS = 90.0
GIVEN_UP_SECONDS = 2.0

SendOutcome = Literal["ok", "fail", "unknown"]


class Sent(Struct, frozen=True):
    """One record that a producer sent, with the brokers' reply."""

    number: int
    record: RawRecord
    outcome: SendOutcome


class Sender:
    """A producer that logs the brokers' reply to each record: acknowledged, refused or none."""

    def __init__(self, settings: Settings) -> None:
        self._names = settings.names
        self._producer = AIOKafkaProducer(
            **settings.kafka.client(),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            request_timeout_ms=60_000,
            max_request_size=4 << 20,
        )
        self.sent: list[Sent] = []
        self._numbers = count()

    async def __aenter__(self) -> "Sender":
        await self._producer.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After a failure brokers may be away for good, so pending records are given up sooner.
        try:
            await asyncio.wait_for(self._producer.stop(), SEND_SECONDS if kind is None else GIVEN_UP_SECONDS)
        except TimeoutError:
            if kind is None:
                raise

    async def send(self, records: Sequence[RawRecord], records_per_second: float = float("inf")) -> None:
        """Send records in order, at most at a steady rate."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for first in range(0, len(records), CHUNK):
            chunk = records[first : first + CHUNK]
            self.sent += await asyncio.gather(*(self._send(next(self._numbers), one) for one in chunk))
            await asyncio.sleep(max(0.0, began + (first + len(chunk)) / records_per_second - loop.time()))

    async def _send(self, number: int, record: RawRecord) -> Sent:
        # A tombstone needs a key, or the client refuses it.
        key = b"" if record.key is None and record.value is None else record.key
        headers = [*record.headers, (SENT, str(number).encode())]
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._producer.send_and_wait(
                    self._names.raw(record.topic), value=record.value, key=key, headers=headers
                )
        except MessageSizeTooLargeError:
            return Sent(number, record, "fail")
        except (KafkaError, TimeoutError):
            return Sent(number, record, "unknown")
        return Sent(number, record, "ok")


class Arrived(Struct, frozen=True):
    """The differences between the raw topics and the sends."""

    ok: int
    failed: int
    unknown: int
    missing: int
    """Acknowledged sends that are absent or have other bytes."""
    invented: int
    """Records that were not sent, or whose send was refused."""
    repeated: int
    """Records beyond one for each send: a producer's retries, which no consumer can tell from new sends."""


async def arrived(dsn: str, sent: Sequence[Sent]) -> Arrived:
    """Compare the sends with `recount.raw`, the recount's copy of the raw topics."""
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=120)
    try:
        await connection.execute(
            "DROP SCHEMA IF EXISTS oracle CASCADE; CREATE SCHEMA oracle;"
            " CREATE TABLE oracle.sent (number int PRIMARY KEY, topic text, body bytea, outcome text)"
        )
        rows = [(one.number, one.record.topic, one.record.value, one.outcome) for one in sent]
        await connection.copy_records_to_table("sent", schema_name="oracle", records=rows)
        return await _compared(connection)
    finally:
        await connection.close()


async def _compared(connection: Any) -> Arrived:
    sql = await asyncio.to_thread(Path(__file__).with_name("oracle.sql").read_text, encoding="utf-8")
    return Arrived(**dict(await connection.fetchrow(sql)))
