"""One partition of a facts log on real Kafka, with its store and a fold that lasts one run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from tally.agents.fold.partition import PartitionFold
from tally.agents.fold.partitions import PartitionFolds
from tally.agents.fold.ports import FoldPorts
from tally.schemas.facts import MESSAGE, Claim, Claimed
from tally.schemas.keys import Template
from tally.schemas.records import KeyedFact
from tally.schemas.rows import Progress, Row, encode
from tally.schemas.wamids import message_key
from tally.streams.settings import Settings
from tally.tables.kafka.delivered import FactRecord
from tally.tables.rules import Rules
from tally.tables.store.partition import PartitionStore, StoreConfig
from tests.support.partition import Record

KEY = message_key("106540352242922", "wamid.1")
CLAIM = KeyedFact(
    MESSAGE, KEY, Claimed(Claim(1_795_000_000_000, "t", "c", "8", "1", Template("promo", "nl")))
)
ROW = encode(Row(1, 0, 0, [], {"accepted": 1}))
Opener = Callable[[str], Awaitable[PartitionStore]]


def store_settings(settings: Settings, folder: Path) -> StoreConfig:
    return StoreConfig(settings.kafka, settings.names, folder, lambda: uuid4().hex)


def moved(store: PartitionStore, next_offset: int) -> Progress:
    return Progress(next_offset, store.progress.store_id, "rules")


class Quiet:
    """Fold observer that ignores all reports."""

    def opening(self, partition: int, done: int, whole: int) -> None: ...
    def opened(self, partition: int, seconds: float, records: int) -> None: ...
    def folded(self, partition: int, facts: dict[str, int], fold_s: float, commit_s: float) -> None: ...
    def refused(self, partition: int, identifiers: int) -> None: ...

    def quarantined(self, partition: int, facts: int) -> None: ...


class OneRun:
    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.acked = asyncio.Event()

    def release(self) -> None:
        self.records = []

    def ack(self) -> None:
        self.acked.set()


async def fold_once(store: PartitionStore, records: list[Record], kept: list[tuple[int, str]]) -> None:
    """Run a fold until it has folded the records or fails."""

    async def keep(_: int, facts: Sequence[FactRecord], error: str) -> None:
        kept.extend((fact.offset, error) for fact in facts)

    failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    ports = FoldPorts(Rules(), Quiet(), asyncio.get_running_loop().time, keep)
    folds = PartitionFolds(lambda _: PartitionFold(ports, store, seek), failed.set_exception)
    run = OneRun(records)

    def seek(next_offset: int) -> None:
        assert next_offset == store.progress.next_offset
        assert folds.opening == frozenset()
        folds.deliver(0, run)

    folds.assign({0})
    assert folds.opening == {0}
    acked: asyncio.Future[Any] = asyncio.ensure_future(run.acked.wait())
    await asyncio.wait({acked, failed}, return_when=asyncio.FIRST_COMPLETED)
    acked.cancel()
    await folds.close(20)
    if failed.done():
        failed.result()
    failed.cancel()
