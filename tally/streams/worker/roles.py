"""The consuming roles: route and fold, bound to Faust apps and consumer groups, and the sink to its group."""

import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from math import ceil
from uuid import uuid4

from faust.types import TP
from msgspec import structs

from tally.agents.clock import elapsed_s, unix_ms
from tally.agents.compute_gate import ComputeGate
from tally.agents.fold.partition import PartitionFold
from tally.agents.fold.partitions import PartitionFolds
from tally.agents.fold.ports import FoldPorts, cycle_seconds
from tally.agents.route.loop import Route
from tally.agents.sink.cuts import Bounds
from tally.agents.sink.logs import PartitionLogs
from tally.agents.sink.loop import Sink
from tally.agents.sink.members import Membership, group_consumer
from tally.agents.sink.opening import Ours
from tally.agents.sink.ports import SinkConfig, SinkPorts, SinkWriter
from tally.schemas.sources import READERS
from tally.schemas.topics import COUNTERS
from tally.streams.runtime.run import Service, fail
from tally.streams.settings import Settings
from tally.streams.transport.app import ConsumerApp, consume, consumer_app, runs_consumer
from tally.streams.transport.config import RunLimits, TransportConfig
from tally.streams.transport.runs import Run
from tally.streams.worker.observer import WorkerObserver
from tally.tables.kafka.dead_letters import DeadLetter, DeadLetters
from tally.tables.kafka.delivered import FactRecord
from tally.tables.postgres.columns import FINGERPRINT
from tally.tables.postgres.kind import Kind
from tally.tables.postgres.line_kind import columns_with, lines_kind
from tally.tables.postgres.sieve import BY_NAME, KINDS, Sieve
from tally.tables.store.local import MemoryBudget
from tally.tables.store.partition import PartitionStore, StoreConfig

ROUTE_DRAIN_SECONDS = 5.0
FOLD_DRAIN_SECONDS = 0.0
"""A fold does not wait for runs that it has not begun: the next owner starts at progress, without repeats."""

Partitions = Callable[[set[TP]], None]


def _config(
    settings: Settings, drain_seconds: float, assigned: Partitions, revoked: Partitions, limits: RunLimits
) -> TransportConfig:
    return TransportConfig(
        kafka=settings.kafka,
        assigned=assigned,
        revoked=revoked,
        drain_seconds=drain_seconds,
        limits=limits,
        fetch_wait_ms=round(settings.fetch_wait_seconds * 1000),
        linger_ms=round(settings.linger_seconds * 1000),
        session_timeout_ms=round(settings.session_timeout_seconds * 1000),
        commit_seconds=settings.commit_seconds,
    )


def route_app(settings: Settings, route: Route, observer: WorkerObserver) -> ConsumerApp:
    """Return the app that reads the raw topics."""
    names = settings.names
    logical = {names.raw(source): source for source in READERS}

    def assigned(partitions: set[TP]) -> None:
        observer.follow("route", lambda: runs_consumer(app).outstanding)
        observer.rebalanced("route", len(partitions))

    def revoked(_: set[TP]) -> None:
        observer.revoked("route")

    limits = RunLimits(settings.batch_records, max_outstanding=settings.outstanding_runs)
    config = structs.replace(
        _config(settings, ROUTE_DRAIN_SECONDS, assigned, revoked, limits), tells_starts=True
    )
    app = consumer_app(names.group("route"), config)

    async def agent(runs: AsyncIterator[Run]) -> None:
        async for run in runs:
            route.deliver(logical[run.topic], run)

    consume(app, tuple(logical), agent, fail)
    return app


def fold_app(
    settings: Settings, dead_letters: DeadLetters, observer: WorkerObserver, gate: ComputeGate
) -> tuple[ConsumerApp, PartitionFolds]:
    """Return the app that reads the facts log, and the folds of its partitions."""
    names = settings.names
    store_config = StoreConfig(
        settings.kafka,
        names,
        settings.state_folder,
        lambda: uuid4().hex,
        observer.rebuilt,
        MemoryBudget(settings.memory_mb << 20),
    )

    async def keep(partition: int, facts: Sequence[FactRecord], error: str) -> None:
        await dead_letters.write(
            [DeadLetter(names.facts, partition, fact, "code_failure", error) for fact in facts]
        )

    fold_ports = FoldPorts(
        settings.rules,
        observer,
        time.monotonic,
        keep,
        settings.batch_facts,
        cycle_seconds=lambda: cycle_seconds(len(folds.partitions)),
        gate=gate,
    )

    def new_fold(partition: int) -> PartitionFold:
        tp = TP(names.facts, partition)
        store = PartitionStore(store_config, partition)
        return PartitionFold(fold_ports, store, lambda offset: runs_consumer(app).seek_to(tp, offset))

    folds = PartitionFolds(new_fold, lambda error: fail("a partition's fold failed", error))

    def assigned(partitions: set[TP]) -> None:
        observer.follow("fold", lambda: 0 if folds.opening else runs_consumer(app).outstanding)
        observer.rebalanced("fold", len(partitions))
        folds.assign({tp.partition for tp in partitions})

    def revoked(partitions: set[TP]) -> None:
        folds.revoke({tp.partition for tp in partitions})
        observer.revoked("fold")

    # Enough runs for a whole batch: the more facts a batch holds, the less often a row changes.
    runs_of_batch = ceil(settings.batch_facts / settings.batch_records)
    limits = RunLimits(settings.batch_records, max_outstanding=runs_of_batch)
    config = _config(settings, FOLD_DRAIN_SECONDS, assigned, revoked, limits)
    app = consumer_app(names.group("fold"), config)

    async def agent(runs: AsyncIterator[Run]) -> None:
        async for run in runs:
            folds.deliver(run.partition, run)

    consume(app, (names.facts,), agent, fail)
    return app, folds


def sunk_kinds(settings: Settings) -> tuple[Kind, ...]:
    """Return what a sink writes: lines too, where there is a ledger."""
    return (*KINDS, lines_kind(settings.rules, settings.ledger_phones)) if settings.ledger else KINDS


def written_kinds(settings: Settings) -> dict[str, Kind]:
    """Return the kinds of a writer by name; without a ledger it removes the lines that there are."""
    return {**BY_NAME, **{kind.name: kind for kind in sunk_kinds(settings)}}


def sink_services(settings: Settings, writer: SinkWriter, observer: WorkerObserver) -> dict[str, Service]:
    """Return what runs a sink: its group, and the writing of the partitions that the group gives."""
    names, kafka = settings.names, settings.kafka
    members = Membership(
        lambda: group_consumer(kafka, names.group("sink"), round(settings.session_timeout_seconds * 1000)),
        names.changelog(COUNTERS),
        lambda owned: observer.rebalanced("sink", owned),
        random.random,
    )
    sieve = Sieve(sunk_kinds(settings))
    ports = SinkPorts(
        logs=lambda partition: PartitionLogs(kafka, names, partition, sieve.logs),
        writer=writer,
        partitions=lambda: members.partitions,
        observer=observer,
        clock=elapsed_s,
        unix_ms=unix_ms,
        jitter=random.random,
        token=lambda: uuid4().hex,
        sieve=sieve,
    )
    rules = settings.rules.fingerprint if sieve.is_derived else None
    bounds = Bounds(most_entries=settings.sink_rows, compaction_lag_seconds=settings.compaction_lag_seconds)
    ours = Ours(columns_with(FINGERPRINT, settings.ledger, settings.ledger_phones), rules)
    config = SinkConfig(settings.sink_seconds, bounds, ours, settings.postgres_pool_size)
    return {"sinks' group": members.run, "sink": Sink(ports, config).run}
