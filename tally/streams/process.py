"""One worker process: its roles, its services, and how it ends."""

import asyncio
import random
import signal
import time
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any

import structlog

from tally.agents.flush.loop import Flush
from tally.agents.flush.ports import Policy, Ports
from tally.agents.lag.loop import LagLoop
from tally.agents.lag.offsets import Pipeline, kafka_offsets
from tally.agents.lag.tracker import LagTracker, Moment
from tally.agents.route.decision import READERS
from tally.agents.route.loop import Route
from tally.agents.view.loop import ViewLoop, changelog_consumer
from tally.agents.view.model import View
from tally.agents.view.reader import Reader
from tally.schemas.topics import COUNTERS, DEAD_LETTERS
from tally.streams import health, topics
from tally.streams.fatal import die
from tally.streams.metrics import Metrics
from tally.streams.roles import fold_app, route_app, unix_ms
from tally.streams.settings import Settings
from tally.streams.watching import Watch
from tally.streams.web.app import web_app
from tally.streams.web.site import Site
from tally.tables.dead_letters import DeadLetters
from tally.tables.facts_log import FactsLog
from tally.tables.postgres.database import Database
from tally.tables.postgres.writer import Writer

log = structlog.get_logger()

STOP_SECONDS = 20.0
START_SECONDS = 60.0
BEAT_SECONDS = 1.0
FOLD_CLOSE_SECONDS = 15.0


class Process:
    """Builds what the roles need, in the order in which it is needed, and takes it down the other way."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics(version("tally"))
        self._watch = Watch(self._metrics, time.monotonic, time.time)
        self._closers: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._beat_at_s = time.monotonic()

    async def start(self) -> None:
        """Start every role of this process."""
        settings, roles = self._settings, self._settings.roles
        await topics.declare(settings)
        facts = FactsLog(settings.kafka_client(), settings.names.facts)
        dead_letters = DeadLetters(settings.kafka_client(), settings.names.raw(DEAD_LETTERS), unix_ms)
        for client in (facts, dead_letters):
            await client.start()
            self._closers.append(client.close)
        self._partitions = facts.partitions
        self._keep("beat", self._beat())
        fold_partitions = await self._start_fold(dead_letters) if "fold" in roles else None
        view = self._start_view()
        if "flush" in roles:
            await self._start_flush(view, fold_partitions)
        if "route" in roles:
            route = Route(facts, dead_letters, self._watch, lambda error: die("route failed", error))
            await self._start_app(route_app(settings, route, self._watch))
        if "view" in roles:
            await self._start_web(view)
        log.info("worker started", roles=list(roles), partitions=self._partitions)

    async def _start_fold(self, dead_letters: DeadLetters) -> Callable[[], frozenset[int]]:
        app, assignment = fold_app(self._settings, dead_letters, self._watch)
        self._closers.append(lambda: assignment.close(FOLD_CLOSE_SECONDS))
        await self._start_app(app)
        return lambda: assignment.partitions

    async def _start_app(self, app: Any) -> None:
        await asyncio.wait_for(app.start(), START_SECONDS)
        self._closers.append(app.stop)
        self._keep(f"app {app.conf.id}", _ended(app))

    def _start_view(self) -> View:
        settings = self._settings
        view = View(self._partitions)
        loop = ViewLoop(
            view,
            settings.names.changelog(COUNTERS),
            lambda: changelog_consumer(**settings.kafka_client()),
            lambda: time.time() * 1000,
            self._watch.visible,
            random.random,
        )
        self._keep("view", loop.run())
        return view

    async def _start_flush(self, view: View, owned: Callable[[], frozenset[int]] | None) -> None:
        settings = self._settings
        database = await Database.open(
            settings.postgres_dsn.get_secret_value(), connections=settings.postgres_pool_size
        )
        self._closers.append(database.close)
        everything = frozenset(range(self._partitions))

        def caught_up() -> frozenset[int]:
            ours = everything if owned is None else owned()
            return frozenset(partition for partition in ours if view.is_ready(partition))

        ports = Ports(
            source=view,
            writer=Writer(database, settings.generation),
            partitions=caught_up,
            outcomes=self._watch,
            clock=time.monotonic,
            jitter=random.random,
        )
        policy = Policy(settings.flush_seconds, settings.flush_rows, settings.postgres_pool_size)
        self._keep("flush", Flush(ports, policy).run())

    async def _start_web(self, view: View) -> None:
        settings = self._settings
        lag = LagTracker()
        reader = Reader(view, lag, settings.generation, time.monotonic, settings.live_lag_seconds)
        self._start_lag(view, lag)
        self._metrics.follow("tally_lag_seconds", lambda: _or_nan(reader.lag_seconds()))
        self._metrics.follow("tally_waiting_states", lambda: _summed(view, "waiting"))
        self._metrics.follow("tally_facts_set_aside", lambda: _summed(view, "set_aside"))
        site = Site(reader, self._metrics, self._live, lambda: self._ready(view, reader))
        app = web_app(settings, site)
        await asyncio.wait_for(app.start(), START_SECONDS)
        self._closers.append(app.stop)

    def _start_lag(self, view: View, tracker: LagTracker) -> None:
        settings, names = self._settings, self._settings.names
        pipeline = Pipeline(
            {source: names.raw(source) for source in READERS},
            names.facts,
            self._partitions,
            names.group("route"),
        )
        loop = LagLoop(
            tracker,
            lambda: kafka_offsets(pipeline, settings.kafka_client()),
            lambda: {partition: view.next_offset(partition) for partition in range(self._partitions)},
            self._watch.lagging,
            lambda: Moment(time.monotonic(), unix_ms()),
            random.random,
            settings.lag_seconds,
        )
        self._keep("lag", loop.run())

    def _live(self) -> health.Verdict:
        return health.live(
            self._watch.pulses(), self._beat_at_s, time.monotonic(), self._settings.stuck_seconds
        )

    def _ready(self, view: View, reader: Reader) -> health.Verdict:
        state = health.Readiness(
            view.ready_partitions, self._partitions, len(self._watch.opening), reader.lag_seconds()
        )
        return health.ready(state, self._settings.live_lag_seconds)

    def _keep(self, name: str, service: Coroutine[Any, Any, None]) -> None:
        """Run a service for as long as the process; its end is the end of the process."""
        task = asyncio.ensure_future(service)
        self._tasks.add(task)

        def ended(done: "asyncio.Task[None]") -> None:
            if not self._stopping and not done.cancelled():
                die(f"{name} ended", done.exception())

        task.add_done_callback(ended)

    async def _beat(self) -> None:
        """Notice when this process stood still for so long that its partitions have new owners.

        It would be fenced at its next transaction anyway; what it has in its hands is stale.
        """
        while True:
            now_s = time.monotonic()
            if now_s - self._beat_at_s > self._settings.session_timeout_seconds:
                die(f"stood still for {now_s - self._beat_at_s:.1f} s, longer than the group's session")
            self._beat_at_s = now_s
            await asyncio.sleep(BEAT_SECONDS)

    async def stop(self) -> None:
        """Stop everything, the last that was started first."""
        self._stopping = True
        for close in reversed(self._closers):
            await close()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def _ended(app: Any) -> None:
    """Wait until an app is no longer running. Raises what made it crash."""
    await app.wait_until_stopped()
    if app.crash_reason is not None:
        raise app.crash_reason


def _summed(view: View, field: str) -> float:
    known = (view.progress(partition) for partition in range(view.partitions))
    return float(sum(getattr(progress, field) for progress in known if progress is not None))


async def run(settings: Settings) -> int:
    """Run a worker until it is asked to stop; return its exit code. Anything else ends the process."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    process = Process(settings)
    try:
        await _unless(stopping, process.start())
    except Exception as error:
        die("the worker could not start", error)
    await stopping.wait()
    log.info("worker stops")
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.stop()
    except Exception as error:
        die("the worker did not stop in order", error)
    log.info("worker stopped")
    return 0


async def _unless(stopping: asyncio.Event, starting: Coroutine[Any, Any, None]) -> None:
    """Start, unless told to stop meanwhile."""
    start, stop = asyncio.ensure_future(starting), asyncio.ensure_future(stopping.wait())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if start.done():
        await start
    else:
        start.cancel()


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
