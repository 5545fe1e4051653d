"""The stored function of the system that Tally replaces, over tables of its size."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from bench.reads_counts import FORMER_COLUMNS, former_counts
from bench.reads_events import Events

STATEMENTS = Path(__file__).with_name("stored_function.sql")
CALL = "SELECT * FROM former.get_campaign_template_stats($1)"
DEADLINE_SECONDS = 120.0
SCHEMA = "former"
WARM_UP_CALLS = 5


class StoredFunction:
    """One prepared call of the function on a separate connection, as a pool would keep it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def __aenter__(self) -> "StoredFunction":
        self._connection = await asyncpg.connect(
            self._dsn, timeout=DEADLINE_SECONDS, command_timeout=DEADLINE_SECONDS
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def fill(self, events: Events) -> None:
        """Create the tables and the function, replacing former ones, and insert these events."""
        await self._connection.execute(STATEMENTS.read_text(encoding="utf-8"))
        await self._copy(
            "campaign_send",
            ("campaign_id", "template_name", "status", "message_id", "created_at"),
            _sends(events),
        )
        await self._copy("status_log", ("message_id", "status", "logged_at"), _statuses(events))
        await self._copy(
            "message",
            ("message_id", "direction", "business_number", "phone", "created_at"),
            _messages(events),
        )
        # Otherwise autovacuum might run in the middle of a measurement.
        await self._connection.execute(
            "VACUUM (ANALYZE) former.campaign_send, former.status_log, former.message"
        )

    async def prepare(self) -> None:
        """Prepare the call and warm the caches."""
        self._call = await self._connection.prepare(CALL)

    async def check(self, events: Events, campaign: str) -> None:
        """Compare an answer with a plain count. Raises AssertionError."""
        answer = {
            row["template_name"]: tuple(row[c] for c in FORMER_COLUMNS) for row in await self.call(campaign)
        }
        expected = former_counts(events, campaign)
        assert answer == expected, f"the stored function says {answer}, a plain count {expected}"

    async def call(self, campaign: str) -> list[Any]:
        """Return the rows of one campaign."""
        return list(await self._call.fetch(UUID(campaign)))

    async def sizes(self) -> tuple[int, int, int]:
        """Return the number of sends, of statuses and of messages."""
        return (
            await self._count("campaign_send"),
            await self._count("status_log"),
            await self._count("message"),
        )

    async def _copy(self, table: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
        await self._connection.copy_records_to_table(table, schema_name=SCHEMA, columns=columns, records=rows)

    async def _count(self, table: str) -> int:
        return int(await self._connection.fetchval(f"SELECT count(*) FROM {SCHEMA}.{table}"))  # noqa: S608


def _sends(events: Events) -> Iterator[tuple[object, ...]]:
    for send in events.sends:
        status = "failed" if send.message_id is None else "sent"
        yield UUID(send.campaign), send.template[0], status, send.message_id, _moment(send.at_s)


def _statuses(events: Events) -> Iterator[tuple[object, ...]]:
    for status in events.statuses:
        yield status.send.message_id, status.status, _moment(status.logged_s)


def _messages(events: Events) -> Iterator[tuple[object, ...]]:
    for send in events.sends:
        if send.message_id is not None:
            yield send.message_id, "out", send.number, send.phone, _moment(send.at_s)
    for reply in events.replies:
        yield f"wamid.reply-{reply.nth}", "in", reply.number, reply.phone, _moment(reply.at_s)


def _moment(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
