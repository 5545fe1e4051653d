"""Compares the rows of all partitions with the answers of a worker's read API.

The counters changelog is read on from the end of the copies. Any response that is not a worker's is an error.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from aiokafka import TopicPartition
from msgspec import Struct
from yarl import URL

from tally.agents.audit.answers import (
    Answer,
    CampaignAnswer,
    Compared,
    OperatorsAnswer,
    Scope,
    compared,
    together,
)
from tally.agents.audit.counting import whole_rows
from tally.agents.audit.versions import Versions
from tally.agents.view.campaign import PartitionRow
from tally.schemas.grains import RowKey
from tally.schemas.missing import NO_ROW
from tally.schemas.rows import decode_row
from tally.schemas.topics import COUNTERS
from tally.streams.audit.copies import Copies
from tally.streams.audit.recheck import rechecked
from tally.streams.settings import Settings
from tally.tables.kafka.read_to_end import read_up_to
from tally.tables.store.local import LocalStore

DEADLINE_SECONDS = 60.0


class Following:
    """Reads on request the counters committed since the last time."""

    def __init__(self, consumer: Any, tps: list[TopicPartition]) -> None:
        self._consumer = consumer
        self._tps = tps

    async def catch_up(self, versions: Versions) -> None:
        """Apply all records up to the present ends. Raises TimeoutError."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            ends = await self._consumer.end_offsets(self._tps)
            async for arrived in read_up_to(self._consumer, ends, DEADLINE_SECONDS):
                for tp, records in arrived.items():
                    for record in records:
                        if not record.key.startswith(NO_ROW) and record.value is not None:
                            row = decode_row(record.value)
                            versions.apply(tp.partition, RowKey.decode(record.key), row)


@asynccontextmanager
async def following(settings: Settings, starts: Mapping[int, int]) -> AsyncIterator[Following]:
    """Follow the counters of all partitions from the given offsets on. Raises TimeoutError, KafkaError."""
    topic = settings.names.changelog(COUNTERS)
    tps = {TopicPartition(topic, partition): offset for partition, offset in starts.items()}
    consumer = settings.kafka.reader("none", fetch_max_wait_ms=50)
    try:
        await asyncio.wait_for(consumer.start(), DEADLINE_SECONDS)
        consumer.assign(list(tps))
        for tp, offset in tps.items():
            consumer.seek(tp, offset)
        yield Following(consumer, list(tps))
    finally:
        await consumer.stop()


ANSWER_SECONDS = 10.0
NEEDS_KEY = (401, 403)
ANSWERED = (200, 404)
"""A campaign without counts answers 404; that answer holds a receipt too."""

Wanted = TypeVar("Wanted", bound=Answer)


class NoAnswer(Exception):
    """The given worker does not answer, or does not answer as a worker of this generation."""


class Asking:
    """A client of one worker's read API. Raises NoAnswer if the address is invalid."""

    def __init__(self, url: str, generation: int, key: str) -> None:
        self._url = address(url)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._generation = generation

    async def __aenter__(self) -> "Asking":
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, scope: Scope) -> Answer:
        """Return the worker's answer for a campaign, or for a tenant's operators. Raises NoAnswer."""
        tenant, campaign = scope
        if not campaign:
            return await self._operators(f"/v1/tenants/{_part(tenant)}/operators")
        return await self._get(f"/v1/tenants/{_part(tenant)}/campaigns/{_part(campaign)}", CampaignAnswer)

    async def _operators(self, path: str) -> OperatorsAnswer:
        pages = [await self._get(path, OperatorsAnswer)]
        while cursor := pages[-1].next_cursor:
            pages.append(await self._get(f"{path}?cursor={quote(cursor, safe='')}", OperatorsAnswer))
        return together(pages)

    async def _get(self, path: str, wanted: type[Wanted]) -> Wanted:
        try:
            answer = msgspec.json.decode(await self._body(path), type=wanted)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
            # The message omits the address, which may hold a password.
            raise NoAnswer(f"the view does not answer {path}: {type(error).__name__}: {error}") from None
        if answer.receipt.generation != self._generation:
            raise NoAnswer(f"the view is of generation {answer.receipt.generation}, not {self._generation}")
        return answer

    async def _body(self, path: str) -> Any:
        # Sent as it is: the client would resolve path segments of dots, and an id may be one.
        url = URL(self._url + path, encoded=True)
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status in NEEDS_KEY:
                raise NoAnswer(
                    f"the view refuses {path}: TALLY_API_KEY must be a key with `read` for all tenants"
                )
            if response.status not in ANSWERED:
                raise NoAnswer(f"the view answers {path} with HTTP status {response.status}")
            return await response.read()


def address(url: str) -> str:
    """Return a worker's address without a trailing slash. Raises NoAnswer if it is invalid."""
    try:
        is_one = URL(url).scheme in ("http", "https") and bool(URL(url).host)
    except ValueError:
        is_one = False
    if not is_one:
        raise NoAnswer("the view must be given as the address of a worker, such as http://127.0.0.1:6066")
    return url.rstrip("/")


def _part(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="").replace(".", "%2E")


ANYBODY: Scope = ("-", "")
"""Always asked for: it detects a view that is away or of another generation when there are no rows."""


class Unequal(Struct, frozen=True):
    """An answer that does not, or not yet, equal the rows."""

    scope: Scope
    found: Compared


async def against_view(settings: Settings, url: str, kept: Copies, partitions: int) -> list[Compared]:
    """Return the differences between answers and rows, and the rows that are too new to compare.

    Raises NoAnswer, TimeoutError and KafkaError.
    """
    async with Asking(url, settings.generation, settings.api_key.get_secret_value()) as asking:
        await asking.ask(ANYBODY)
        local = {partition: await kept.refreshed(partition) for partition in range(partitions)}
        versions = Versions(_rows(local))
        starts = {partition: _end(copy) for partition, copy in local.items()}
        async with following(settings, starts) as changes:
            look = Look(asking, changes, versions)
            return [one.found for one in await rechecked(look.again)]


class Look:
    """Asks for every scope first, and at each later look only for those that were not equal.

    The view may have been behind the copies, or in the middle of a transaction.
    """

    def __init__(self, asking: Asking, changes: Following, versions: Versions) -> None:
        self._asking = asking
        self._changes = changes
        self._versions = versions
        self._open = versions.scopes()

    async def again(self) -> list[Unequal]:
        """Ask, read the counters committed meanwhile, and compare at the progress of each answer."""
        answers = {scope: await self._asking.ask(scope) for scope in self._open}
        await self._changes.catch_up(self._versions)
        unequal = []
        for scope, answer in answers.items():
            rows = self._versions.at(scope, answer.receipt.progress)
            if (found := compared(scope, rows, answer)) != Compared():
                unequal.append(Unequal(scope, found))
        self._open = [one.scope for one in unequal]
        return unequal


def _rows(copies: dict[int, LocalStore]) -> Iterator[PartitionRow]:
    for partition, local in copies.items():
        for key, row in whole_rows(local):
            yield PartitionRow(partition, RowKey.decode(key), row)


def _end(local: LocalStore) -> int:
    """Return the counters offset at which a copy ends; 0 if nothing was ever counted."""
    return 0 if local.meta is None else local.meta.offsets.get(COUNTERS, 0)
