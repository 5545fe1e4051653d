"""The roles as Faust apps: what route and fold decide, bound to consumer groups."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import faust
from faust.types import TP

from tally.agents.fold.assignment import Assignment
from tally.agents.fold.batch import FactRecord
from tally.agents.fold.partition import FoldSettings, PartitionFold
from tally.agents.route.decision import READERS
from tally.agents.route.loop import Route
from tally.streams.batched.app import consumer_app, runs_of
from tally.streams.batched.consumer import BatchedConsumer
from tally.streams.batched.options import Options
from tally.streams.batched.runs import Run
from tally.streams.fatal import die
from tally.streams.settings import Settings
from tally.streams.watching import Watch
from tally.tables.dead_letters import DeadLetters
from tally.tables.families.registry import TABLES
from tally.tables.store.partition import PartitionStore, StoreSettings

ROUTE_DRAIN_SECONDS = 5.0


def unix_ms() -> int:
    """Return the time of the wall clock."""
    return time.time_ns() // 1_000_000


class Owned:
    """Which partitions a group has given to this worker."""

    def __init__(self) -> None:
        self.partitions: set[TP] = set()


class Watched:
    """A run that tells the watch when it is done."""

    def __init__(self, run: Run, finished: Callable[[], None]) -> None:
        self._run = run
        self._finished = finished

    @property
    def records(self) -> Any:
        """The run's records."""
        return self._run.records

    def ack(self) -> None:
        """Let the group's offset move past the run."""
        if not self._run.is_done:
            self._run.ack()
            self._finished()


def _options(settings: Settings, drain_seconds: float, assigned: Any, revoked: Any) -> Options:
    return Options(
        client=settings.kafka_client(),
        assigned=assigned,
        revoked=revoked,
        drain_seconds=drain_seconds,
        max_records=settings.batch_records,
        max_outstanding=settings.outstanding_runs,
        fetch_wait_ms=round(settings.fetch_wait_seconds * 1000),
        session_timeout_ms=round(settings.session_timeout_seconds * 1000),
    )


def _app(settings: Settings, group: str, options: Options) -> faust.App:
    return consumer_app(group, options, settings.commit_seconds, faust_folder(settings))


def faust_folder(settings: Settings) -> Path:
    """Return where Faust keeps the folders that it insists on."""
    folder = settings.state_folder / "faust"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def route_app(settings: Settings, route: Route, watch: Watch) -> faust.App:
    """Return the app that reads the raw topics."""
    names = settings.names
    logical = {names.raw(source): source for source in READERS}

    def assigned(partitions: set[TP]) -> None:
        watch.rebalanced("route", len(partitions))

    options = _options(settings, ROUTE_DRAIN_SECONDS, assigned, lambda _: None)
    app = _app(settings, names.group("route"), options)

    @app.agent(runs_of(app, *logical), name="route", supervisor_strategy=None)
    async def route_agent(stream: Any) -> None:
        async for event in stream.noack().events():
            run: Run = event.value
            watch.delivered("route")
            route.deliver(logical[run.topic], Watched(run, lambda: watch.finished("route")))

    return app


def fold_app(settings: Settings, dead_letters: DeadLetters, watch: Watch) -> tuple[faust.App, Assignment]:
    """Return the app that reads the facts log, and the assignment of its partitions."""
    names = settings.names
    store_settings = StoreSettings(
        settings.kafka_client(), names, TABLES, settings.state_folder, unix_ms, lambda: uuid4().hex
    )

    async def keep(fact: FactRecord, error: str) -> None:
        await dead_letters.keep(fact, "code_failure", error)  # type: ignore[arg-type]

    fold_settings = FoldSettings(settings.rules, watch, time.monotonic, keep, settings.batch_facts)

    def new_fold(partition: int) -> PartitionFold:
        watch.opening.add(partition)
        consumer: BatchedConsumer = app.consumer  # type: ignore[assignment]
        tp = TP(names.facts, partition)

        def seek(offset: int) -> None:
            _must_succeed(asyncio.ensure_future(consumer.seek_to(tp, offset)))

        return PartitionFold(fold_settings, PartitionStore(store_settings, partition), seek)

    assignment = Assignment(new_fold, lambda error: die("a partition's fold failed", error))

    def assigned(partitions: set[TP]) -> None:
        watch.rebalanced("fold", len(partitions))
        assignment.assign({tp.partition for tp in partitions})

    def revoked(partitions: set[TP]) -> None:
        assignment.revoke({tp.partition for tp in partitions})
        watch.opening.clear()

    options = _options(settings, 0.0, assigned, revoked)
    app = _app(settings, names.group("fold"), options)

    @app.agent(runs_of(app, names.facts), name="fold", supervisor_strategy=None)
    async def fold_agent(stream: Any) -> None:
        async for event in stream.noack().events():
            run: Run = event.value
            watch.delivered("fold")
            assignment.deliver(run.partition, Watched(run, lambda: watch.finished("fold")))

    return app, assignment


def _must_succeed(task: "asyncio.Future[None]") -> None:
    def done(ended: "asyncio.Future[None]") -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            die("could not seek", error)

    task.add_done_callback(done)
