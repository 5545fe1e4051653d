"""The audit: compares rows with their states, Postgres, the view and the raw topics."""

import asyncio

from aiokafka.errors import KafkaError
from msgspec import Struct, field

from tally.agents.audit.cells import broken_laws
from tally.agents.audit.counting import counted_from_states, held_in, rows_of, states_of
from tally.agents.audit.drift import Drift, Source, comparable, drift, drift_of_all
from tally.agents.audit.left_out import count_of, counted_without, left_out
from tally.agents.audit.lines import broken_lines
from tally.streams.audit.copies import Copies, copies
from tally.streams.audit.raw import counted_from_raw, partitions_of_facts, raw_offsets
from tally.streams.audit.recheck import rechecked
from tally.streams.audit.stored import broken_in_postgres, broken_lines_in_postgres, stored_rows
from tally.streams.audit.view import NoAnswer, against_view
from tally.streams.operations.rights import check, explained
from tally.streams.runtime.exit import Unavailable
from tally.streams.settings import Settings
from tally.tables.postgres.failures import PostgresFailure
from tally.tables.rules import Rules
from tally.tables.store.local import LocalStore

AWAY = (OSError, TimeoutError, KafkaError, PostgresFailure, NoAnswer, Unavailable)
"""Errors that end an audit because a server is away or refuses; they say nothing about the numbers."""


class Audit(Struct):
    """The findings of an audit."""

    rows: int = 0
    compared: list[Source] = field(default_factory=list)
    """The sources with which rows could be compared."""
    drift: list[Drift] = field(default_factory=list)
    behind: int = 0
    """Rows whose newest counts have not come to Postgres yet: late, not wrong."""
    view_behind: int = 0
    """Rows whose newest counts the view had not read when it answered: late, not wrong."""
    raw: str = "not asked for"
    """Whether the raw topics could be counted again, and if not, why."""


async def examine(settings: Settings, with_raw: bool, view: str = "") -> Audit:
    """Audit all partitions, and a worker's view if `view` is its address. Raises the errors in AWAY."""
    who = "audit --raw" if with_raw else "audit"
    try:
        # Who may not see a topic is told so by a time-out of 40 s otherwise.
        await check(settings, [who])
        return await _examine(settings, with_raw, view)
    except KafkaError as error:
        raise await explained(settings, who, error) from None


async def _examine(settings: Settings, with_raw: bool, view: str) -> Audit:
    found = Audit()
    with copies(settings) as kept:
        partitions = await partitions_of_facts(settings)
        await _against_states(settings, kept, partitions, found)
        await _against_postgres(settings, kept, partitions, found)
        if view:
            await _against_view(settings, view, kept, partitions, found)
        if with_raw:
            found.raw = await _against_raw(settings, kept, partitions, found)
    return found


async def _against_states(settings: Settings, kept: Copies, partitions: int, found: Audit) -> None:
    for partition in range(partitions):
        found.drift += await _states_drift(kept, partition, settings.rules, settings.ledger)
    found.compared += ["states", "cells", "lines"] if settings.ledger else ["states", "cells"]


async def _states_drift(kept: Copies, partition: int, rules: Rules, has_lines: bool) -> list[Drift]:
    """Compare rows and cells with the states that they are of, and rows with sums of cells and of lines."""
    local = await kept.refreshed(partition)

    def compared() -> list[Drift]:
        held, counted = held_in(local), counted_from_states(states_of(local), rules)
        by_states = drift_of_all("states", partition, held, counted)
        by_cells = broken_laws(local, partition, held.rows)
        by_lines = broken_lines(states_of(local), rules, partition, held.rows) if has_lines else ()
        return [*by_states, *by_cells, *by_lines]

    return await asyncio.to_thread(compared)


async def _against_postgres(settings: Settings, kept: Copies, partitions: int, found: Audit) -> None:
    stored = await stored_rows(settings)
    for partition in range(partitions):
        held = rows_of(await kept.refreshed(partition))
        found.rows += len(held)
        ours, theirs, behind = comparable(held, stored.get(partition, {}))
        found.behind += behind
        found.drift += drift("postgres", partition, ours, theirs)
    found.drift += await broken_in_postgres(settings)
    if settings.ledger:
        found.drift += await broken_lines_in_postgres(settings)
    found.compared.append("postgres")


async def _against_view(settings: Settings, url: str, kept: Copies, partitions: int, found: Audit) -> None:
    for compared in await against_view(settings, url, kept, partitions):
        found.drift += compared.drift
        found.view_behind += compared.late_rows
    found.compared.append("view")


async def _against_raw(settings: Settings, kept: Copies, partitions: int, found: Audit) -> str:
    """Compare rows with the raw topics if no records have expired and none arrive meanwhile."""
    before = await raw_offsets(settings)
    if any(start > 0 for start, _ in before.values()):
        return "the raw topics no longer hold everything: their oldest events have expired"
    stores = await counted_from_raw(settings, kept, partitions)
    differing: list[Drift] = []
    without = 0
    for partition, store in stores.items():
        differing += await rechecked(_raw_drift, settings, kept, partition, store)
        held = await kept.refreshed(partition)
        without += count_of(held, left_out(held, store))
        store.close()
    if await raw_offsets(settings) != before:
        return "events came in meanwhile: ask again when it is quiet"
    found.drift += differing
    found.compared.append("raw")
    return f"counted again, without {without} subjects that lack facts" if without else "counted again"


async def _raw_drift(settings: Settings, kept: Copies, partition: int, store: LocalStore) -> list[Drift]:
    """Compare rows and cells with the count from raw events; the latest events may still be under way."""
    held = await kept.refreshed(partition)
    if names := left_out(held, store):
        ours, theirs = (counted_without(one, names, settings.rules) for one in (held, store))
    else:
        ours, theirs = held_in(held), held_in(store)
    return list(drift_of_all("raw", partition, ours, theirs))
