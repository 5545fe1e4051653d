"""One worker process, built from the parts that its roles need."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from math import ceil

import faust
import structlog
from msgspec import structs

from tally.agents.clock import unix_ms
from tally.agents.compute_gate import ComputeGate
from tally.agents.lag.logs import LogWatch, TopicLogs
from tally.agents.lag.loop import LagLoop
from tally.agents.lag.offsets import Pipeline, kafka_offsets
from tally.agents.lag.tracker import LagTracker, Moment
from tally.agents.route.loop import Route
from tally.agents.view.failing import FailingCampaigns
from tally.agents.view.freshness import Freshness
from tally.agents.view.loop import ViewLoop, changelog_consumer
from tally.agents.view.model import View
from tally.agents.view.number_looks import NumberLooks
from tally.agents.view.queries import Queries
from tally.agents.view.receipt import Opening, Openings
from tally.schemas.numbers import Numbers
from tally.schemas.rows import Progress
from tally.schemas.sources import READERS
from tally.schemas.topics import COUNTERS, DEAD_LETTERS
from tally.streams.keys.keyring import Keyring, keys_follower
from tally.streams.operations import rights, topics
from tally.streams.operations.deployment import Deployment, OwnWriter
from tally.streams.operations.numbers import numbers_follower
from tally.streams.processes.exposition import report_of
from tally.streams.processes.member import Member
from tally.streams.reports.kept import Reports, reports_follower
from tally.streams.runtime import health
from tally.streams.runtime.exit import describe
from tally.streams.runtime.http import http_app, serve
from tally.streams.runtime.run import Parts, Service, fail
from tally.streams.runtime.watchdog import Stacks, Watchdog
from tally.streams.settings import Settings
from tally.streams.web.admission import Admission
from tally.streams.web.app import web_app
from tally.streams.web.journal import Journal
from tally.streams.web.limits import Limit
from tally.streams.web.log_in import PATH as SESSION_PATH
from tally.streams.web.log_in import log_ins_of
from tally.streams.web.routes import NEEDED, WITHOUT_KEY, register
from tally.streams.web.serving import WebServer
from tally.streams.worker.brokers import started, wait_for_brokers, while_away
from tally.streams.worker.metrics import GROUP_ROLES, Metrics, follow_view, is_shown
from tally.streams.worker.observer import WorkerObserver
from tally.streams.worker.roles import fold_app, route_app, sink_services, written_kinds
from tally.tables.kafka.dead_letters import DeadLetters
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.postgres.database import Database
from tally.tables.postgres.failures import PostgresFailure
from tally.tables.postgres.moment import MomentReader
from tally.tables.postgres.writer import Writer
from tally.tables.store.marks import log_topics

log = structlog.get_logger()

FOLD_CLOSE_SECONDS = 15.0
SERIES_CONNECTIONS = 2
"""For reads of numbers over time, beside those of the sink: a slow read holds up no write."""
SERIES_SECONDS = 5.0
SINK_YIELDS = 1
"""Rounds of the event loop between two pieces of the sink; its partitions take turns."""

Owned = Callable[[], frozenset[int]]


class Process:
    """Builder of a worker's parts, in the order of their dependencies."""

    def __init__(self, settings: Settings, member: Member | None = None) -> None:
        self._settings = settings
        self._member = member
        """The tie to the other processes of this worker, if it has others."""
        self._metrics = Metrics(version("tally"))
        self._observer = WorkerObserver(self._metrics, time.monotonic, time.time)
        self._apps: list[faust.App] = []
        self._services: dict[str, Service] = {}
        self._closing = AsyncExitStack()
        self._watchdog = Watchdog(settings.session_timeout_seconds, _stuck, time.monotonic)
        self._gate = ComputeGate()
        self._sink_gate = ComputeGate(SINK_YIELDS)
        self._partitions = 0
        self._opening: Owned = frozenset
        self._metrics.follow("tally_opening_offsets", lambda: float(self._observer.offsets_to_open))

    async def build(self) -> Parts:
        """Wait for brokers, declare topics, check rights, connect what roles need; return the parts."""
        settings, roles = self._settings, self._settings.roles
        await wait_for_brokers(settings)
        # First: who may not see a topic would be told that it could not be declared.
        await while_away(lambda: rights.check(settings, roles))
        declared = await while_away(lambda: topics.declare(settings))
        self._partitions = declared.facts_partitions
        await self._closing.enter_async_context(self._beating())
        logs = TopicLogs(settings.kafka, log_topics(settings.names))
        await while_away(logs.check_first)
        # Before the worker joins its groups: with another deployment's database it ends here.
        writer = await self._writer(logs) if "sink" in roles else None
        view = self._view() if "view" in roles else None
        progress = logs.first_progress if view is None else partial(_progress_of, view)
        self._services["logs"] = LogWatch(logs.connect, progress).run
        self._serve(await self._queries(view) if view is not None else None)
        dead_letters = await self._dead_letters() if not {"route", "fold"}.isdisjoint(roles) else None
        if dead_letters is not None and "fold" in roles:
            self._fold(dead_letters)
        if writer is not None:
            self._services |= sink_services(settings, writer, self._observer)
        if dead_letters is not None and "route" in roles:
            await self._route(dead_letters)
        return Parts(self._apps, self._services, self._closing, self._watchdog.rest)

    async def _dead_letters(self) -> DeadLetters:
        settings = self._settings
        topic = settings.names.raw(DEAD_LETTERS)
        dead_letters = await started(lambda: DeadLetters(settings.kafka, topic, unix_ms))
        self._closing.push_async_callback(dead_letters.close)
        return dead_letters

    async def _route(self, dead_letters: DeadLetters) -> None:
        settings = self._settings
        facts = await started(lambda: FactsLog(settings.kafka, settings.names.facts))
        self._closing.push_async_callback(facts.close)
        conventions = settings.conventions
        route = Route(
            facts, dead_letters, self._observer, _route_failed, self._gate, conventions, settings.generation
        )
        numbers = numbers_follower(
            settings, lambda numbers: route.read_by(structs.replace(conventions, numbers=numbers))
        )
        await while_away(numbers.start)
        self._services["numbers"] = numbers.run
        self._apps.append(route_app(settings, route, self._observer))

    def _view(self) -> View:
        settings = self._settings
        view = View(self._partitions)
        loop = ViewLoop(
            view,
            settings.names.changelog(COUNTERS),
            lambda: changelog_consumer(settings.kafka),
            lambda: time.time() * 1000,
            self._observer.visible,
            random.random,
        )
        self._services["view"] = loop.run
        return view

    def _fold(self, dead_letters: DeadLetters) -> None:
        app, folds = fold_app(self._settings, dead_letters, self._observer, self._gate)
        self._apps.append(app)
        self._closing.push_async_callback(folds.close, FOLD_CLOSE_SECONDS)
        self._opening = lambda: folds.opening

    async def _writer(self, logs: TopicLogs) -> OwnWriter:
        """Connect to Postgres, and fail if the database belongs to another deployment.

        This comes before the worker joins its groups: otherwise it would count partitions without writing
        them to the right database.
        """
        settings = self._settings
        dsn = settings.postgres_dsn.get_secret_value()
        database = await Database.open(dsn, connections=settings.postgres_pool_size)
        self._closing.push_async_callback(database.close)
        self._metrics.follow("tally_postgres_connections_used", lambda: float(database.used))
        self._metrics.follow("tally_postgres_connections_waiting", lambda: float(database.waiting))
        self._metrics.follow("tally_postgres_connection_wait_seconds", lambda: database.wait_seconds)
        deployment = Deployment(settings, database, logs.store_ids)
        writer = OwnWriter(
            Writer(
                database,
                settings.generation,
                self._partitions,
                self._sink_gate.enter,
                written_kinds(settings),
            ),
            deployment.check,
            time.monotonic,
        )
        try:
            await writer.check()
        except PostgresFailure as failure:
            log.warning("cannot look yet whose database this is", error=describe(failure))
        return writer

    async def _queries(self, view: View) -> Queries:
        settings, lag = self._settings, LagTracker()
        database = await Database.open(
            settings.postgres_dsn.get_secret_value(),
            connections=SERIES_CONNECTIONS,
            deadline_seconds=SERIES_SECONDS,
        )
        self._closing.push_async_callback(database.close)
        self._services["lag"] = self._lag_loop(view, lag).run
        freshness = Freshness(
            view, lag, settings.generation, time.monotonic, settings.live_lag_seconds, self._openings
        )
        postgres = MomentReader(database, settings.generation)
        queries = Queries(view, freshness, time.monotonic, postgres=postgres)
        follow_view(self._metrics, view, freshness.lag_seconds)
        failing = FailingCampaigns(queries, unix_ms)
        self._services["failing campaigns"] = failing.run
        self._metrics.follow("tally_campaigns_failing", lambda: float(len(failing)))

        def known(numbers: Numbers) -> None:
            queries.numbers = numbers

        self._services["known numbers"] = numbers_follower(settings, known).run
        self._services["paces of numbers"] = NumberLooks(queries, time.monotonic, time.time).run
        return queries

    def _serve(self, queries: Queries | None) -> None:
        """Serve metrics and health, and the read API if there is a view.

        Of several processes the parent serves metrics and health, and asks each for its own; the one with the
        view answers the read API.
        """
        settings, live, ready = self._settings, self._live, lambda: self._ready(queries)
        if self._member is None:
            own = http_app(self._metrics, {"live": live, "ready": ready}, settings.web_hosts)
            host, port = settings.metrics_host, settings.metrics_port
            self._services["metrics"] = lambda: serve(WebServer(own), host, port)
        else:
            shown = partial(is_shown, settings.roles)
            self._member.tells(lambda: report_of(self._metrics.registry, shown), live, ready)
            self._services["channel"] = self._member.run
        if queries is not None:
            keyring, reports = Keyring(), Reports()
            self._services["keys"] = keys_follower(settings, keyring).run
            self._services["reports"] = reports_follower(settings, reports).run
            app = web_app(settings, self._metrics, self._member)
            limit = Limit(settings.reads_per_second, settings.reads_burst)
            log_ins = log_ins_of(settings, keyring)
            admission = Admission(
                keyring,
                NEEDED,
                settings.web_hosts,
                settings.web_origins,
                WITHOUT_KEY,
                limit,
                log_ins.sessions,
                logs_in=SESSION_PATH,
            )
            journal = Journal(self._metrics, NEEDED)
            register(app, queries, admission, journal, log_ins, reports)
            self._apps.append(app)

    def _lag_loop(self, view: View, tracker: LagTracker) -> LagLoop:
        settings, names = self._settings, self._settings.names
        raw = {source: names.raw(source) for source in READERS}
        pipeline = Pipeline(raw, names.facts, self._partitions, names.group("route"))
        return LagLoop(
            tracker,
            lambda: kafka_offsets(pipeline, settings.kafka),
            lambda: {partition: view.next_offset(partition) for partition in range(self._partitions)},
            self._observer.lagging,
            lambda: Moment(time.monotonic(), unix_ms()),
            random.random,
            settings.lag_seconds,
        )

    def _openings(self) -> Openings:
        now_s = time.monotonic()
        return {
            partition: Opening(one.done, one.whole, _whole(one.left_seconds(now_s)))
            for partition, one in self._observer.openings.items()
        }

    def _live(self) -> health.Verdict:
        return health.live(self._observer.pulses(), time.monotonic(), self._settings.stuck_seconds)

    def _ready(self, queries: Queries | None) -> health.Verdict:
        """Decide on readiness; a process that serves no numbers is not judged by view or lag."""
        opening, joining = len(self._opening()), self._joining()
        left_s = self._observer.opening_left_seconds()
        if queries is None:
            state = health.Readiness(self._partitions, self._partitions, opening, 0.0, joining, left_s)
        else:
            ready = queries.view.ready_partitions
            lag_s = queries.freshness.lag_seconds()
            state = health.Readiness(ready, self._partitions, opening, lag_s, joining, left_s)
        return health.ready(state, self._settings.live_lag_seconds)

    def _joining(self) -> tuple[str, ...]:
        # Numbers are live without Postgres, and so without the sink.
        consuming = (role for role in GROUP_ROLES if role in self._settings.roles and role != "sink")
        return tuple(role for role in consuming if role not in self._observer.joined)

    @asynccontextmanager
    async def _beating(self) -> AsyncIterator[None]:
        """Beat for the watchdog until everything else is closed."""
        self._watchdog.start()
        beating = asyncio.create_task(self._beat(), name="beat")
        beating.add_done_callback(_beat_ended)
        yield
        beating.cancel()

    async def _beat(self) -> None:
        while True:
            self._watchdog.beat()
            self._observer.beat()
            await asyncio.sleep(self._watchdog.beat_seconds)


def _beat_ended(beating: "asyncio.Task[None]") -> None:
    if not beating.cancelled():
        fail("beat ended", beating.exception())


def _stuck(reason: str, stacks: Stacks) -> None:
    fail(reason, stacks=stacks)


def _route_failed(error: BaseException) -> None:
    fail("route failed", error)


async def _progress_of(view: View) -> dict[int, Progress]:
    known = {partition: view.progress(partition) for partition in range(view.partitions)}
    return {partition: progress for partition, progress in known.items() if progress is not None}


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else ceil(seconds)
