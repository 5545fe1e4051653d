"""Opening a partition: recovery of its tables, and a recount of its rows if the rules have changed."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import structlog
from msgspec import structs

from tally.agents.clock import Backoff
from tally.agents.fold.ports import FoldPorts
from tally.agents.fold.rows import cell_corrections, corrections, recount
from tally.agents.fold.steps import OF_A_TRANSACTION
from tally.schemas.rows import UNFINISHED
from tally.schemas.topics import COUNTERS
from tally.schemas.waiting import WAITING
from tally.tables.families.family import Family
from tally.tables.families.registry import FAMILIES
from tally.tables.kafka.away import ASKED, is_away
from tally.tables.rules import Rules
from tally.tables.store.errors import CopyUnfit
from tally.tables.store.interface import Writes
from tally.tables.store.partition import PartitionStore

SAY_SECONDS = 10.0

log = structlog.get_logger()


async def open_tables(store: PartitionStore, ports: FoldPorts) -> None:
    """Fence the former owner and recover the tables; while brokers are away, again after each pause.

    Whoever has lost the partition meanwhile hears so from the group as soon as brokers answer, which mostly
    is before the pause is over; else it fences the new owner, and one of them starts again. Raises what
    `PartitionStore.open` raises, but where brokers are away.
    """
    backoff = Backoff(*ports.reopen_seconds)
    while True:
        try:
            return await _open(store, ports)
        except ASKED as error:
            if not is_away(error):
                raise
            pause_s = backoff.failed(ports.random())
            log.warning(
                "partition cannot be opened yet",
                partition=store.partition,
                error=repr(error),
                retry_in_s=round(pause_s, 1),
            )
        await asyncio.sleep(pause_s)


async def _open(store: PartitionStore, ports: FoldPorts) -> None:
    """Open the tables once, as soon as `ports.openings` allows."""
    async with ports.openings:
        began = ports.monotonic()
        await store.open(_OpeningProgress(store.partition, ports, began))
        seconds = ports.monotonic() - began
    ports.observer.opened(store.partition, seconds, store.recovered)
    log.info(
        "partition opened",
        partition=store.partition,
        next_offset=store.progress.next_offset,
        recovered_records=store.recovered,
        seconds=round(seconds, 3),
    )


class _OpeningProgress:
    """Reports the progress of an opening: to metrics and receipts each time, to the log every few seconds."""

    def __init__(self, partition: int, ports: FoldPorts, began_s: float) -> None:
        self._partition = partition
        self._ports = ports
        self._began_s = self._said_s = began_s

    def __call__(self, done: int, whole: int) -> None:
        self._ports.observer.opening(self._partition, done, whole)
        now_s = self._ports.monotonic()
        if now_s - self._said_s < SAY_SECONDS:
            return
        self._said_s = now_s
        per_second = done / (now_s - self._began_s)
        log.info(
            "partition is being read",
            partition=self._partition,
            offsets=done,
            of=whole,
            per_second=round(per_second),
            done_in_seconds=round((whole - done) / per_second) if per_second else None,
        )


async def count_by_present_rules(store: PartitionStore, rules: Rules) -> None:
    """Recount rows and cells from the states if they were counted by other rules.

    Raises CopyUnfit if the local copy does not hold all states.
    """
    progress = store.progress
    if progress.rules == rules.fingerprint:
        return
    corrected = await asyncio.to_thread(_corrections, store, rules)
    if not progress.rules and not any(corrected.values()):
        return  # a partition in which nothing was ever counted
    *parts, last = portions(corrected, OF_A_TRANSACTION.write_bytes)
    for part in parts:
        await store.commit(part, structs.replace(store.progress, rules=UNFINISHED))
    await store.commit(last, structs.replace(store.progress, rules=rules.fingerprint))
    log.warning(
        "recounted by the present rules",
        partition=store.partition,
        **{table: len(entries) for table, entries in corrected.items()},
    )


def portions(writes: Writes, most_bytes: int) -> list[Writes]:
    """Split writes into parts of `most_bytes` at most, or of one larger value; none are one part. Pure."""
    parts: list[Writes] = [{}]
    part_bytes = 0
    for table, entries in writes.items():
        for key, value in entries.items():
            part_bytes += len(key) + len(value or b"")
            if part_bytes > most_bytes and parts[-1]:
                parts.append({})
                part_bytes = len(key) + len(value or b"")
            parts[-1].setdefault(table, {})[key] = value
    return parts


def _corrections(store: PartitionStore, rules: Rules) -> Writes:
    next_offset = store.progress.next_offset
    seen: Counter[str] = Counter()

    def states() -> Iterator[tuple[Family[Any, Any], bytes, bytes]]:
        for family in FAMILIES:
            for key, value in store.items(family.table):
                seen[family.table] += 1
                yield family, key, value

    counted = recount(states(), rules, next_offset)
    _check_seen(seen, Counter(store.progress.states))
    corrected = {COUNTERS: corrections(dict(store.items(COUNTERS)), counted.rows, next_offset)}
    waiting = store.keys_under(COUNTERS, WAITING)
    values = zip(waiting, store.get_many(COUNTERS, waiting), strict=True)
    held = {key: value for key, value in values if value is not None}
    corrected[COUNTERS] |= cell_corrections(held, counted.listed)
    for table, cells in counted.cells.items():
        corrected[table] = cell_corrections(dict(store.items(table)), cells)
    return corrected


def _check_seen(seen: Counter[str], there: Counter[str]) -> None:
    """Raise CopyUnfit if a recount saw fewer or more states than were committed: its sums would be wrong."""
    if seen != there:
        tables = sorted(seen.keys() | there.keys())
        what = ", ".join(f"{table}: {seen[table]} of {there[table]}" for table in tables)
        raise CopyUnfit("states_missing", what)
