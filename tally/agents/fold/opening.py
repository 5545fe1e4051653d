"""Opening a partition: its tables as they were left, and its rows as the present rules count them."""

import asyncio

import structlog
from msgspec import structs

from tally.agents.fold.recount import corrections, recount
from tally.agents.fold.settings import FoldSettings
from tally.agents.fold.steps import OF_A_TRANSACTION
from tally.schemas.topics import COUNTERS
from tally.tables.families.registry import FAMILIES
from tally.tables.rules import Rules
from tally.tables.store.partition import PartitionStore

UNFINISHED = "unfinished"
"""In place of a fingerprint while rows are being corrected: whoever opens the partition then counts anew."""

Rows = dict[bytes, bytes | None]

log = structlog.get_logger()


async def open_tables(store: PartitionStore, settings: FoldSettings) -> None:
    """Fence the former owner and recover the tables, once it is their turn.

    Raises as PartitionStore.open does.
    """
    async with settings.openings:
        began = settings.monotonic()
        await store.open()
        seconds = settings.monotonic() - began
    settings.watch.opened(store.partition, seconds, store.recovered)
    log.info(
        "partition opened",
        partition=store.partition,
        next_offset=store.progress.next_offset,
        recovered_records=store.recovered,
        seconds=round(seconds, 3),
    )


async def count_by_present_rules(store: PartitionStore, rules: Rules) -> None:
    """Recount the rows from the states where other rules have counted them, or where rows were lost."""
    progress = store.progress
    if progress.rules == rules.fingerprint:
        return
    corrected = await asyncio.to_thread(_corrections, store, rules)
    if not progress.rules and not corrected:
        return  # a partition in which nothing was ever counted
    *parts, last = portions(corrected, OF_A_TRANSACTION.write_bytes)
    for part in parts:
        await store.commit({COUNTERS: part}, structs.replace(store.progress, rules=UNFINISHED))
    await store.commit({COUNTERS: last}, structs.replace(store.progress, rules=rules.fingerprint))
    log.warning("recounted by the present rules", partition=store.partition, rows=len(corrected))


def portions(rows: Rows, most_bytes: int) -> list[Rows]:
    """Return rows in parts of so many bytes at most, or of one row; of none one empty part. Pure."""
    parts: list[Rows] = [{}]
    part_bytes = 0
    for key, row in rows.items():
        part_bytes += len(row or b"")
        if part_bytes > most_bytes and parts[-1]:
            parts.append({})
            part_bytes = len(row or b"")
        parts[-1][key] = row
    return parts


def _corrections(store: PartitionStore, rules: Rules) -> Rows:
    next_offset = store.progress.next_offset
    states = ((family, key, value) for family in FAMILIES for key, value in store.items(family.table))
    counted = recount(states, rules, next_offset)
    return corrections(dict(store.items(COUNTERS)), counted, next_offset)
