"""One worker process, built from the parts that its roles need."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version

import faust
import structlog
from msgspec import structs

from tally.agents.clock import unix_ms
from tally.agents.compute_gate import ComputeGate
from tally.agents.lag.logs import LogWatch, TopicLogs
from tally.agents.route.loop import Route
from tally.schemas.numbers import Numbers
from tally.schemas.topics import DEAD_LETTERS
from tally.streams.operations import rights, topics
from tally.streams.operations.deployment import Deployment, OwnWriter
from tally.streams.operations.numbers import KnownNumbers, numbers_follower
from tally.streams.processes.exposition import report_of
from tally.streams.processes.member import Member
from tally.streams.runtime import health
from tally.streams.runtime.exit import describe
from tally.streams.runtime.http import http_app, serve
from tally.streams.runtime.run import Parts, Service, fail
from tally.streams.runtime.watchdog import Watchdog
from tally.streams.settings import Settings
from tally.streams.web.serving import WebServer
from tally.streams.worker.beat import beating, stuck
from tally.streams.worker.brokers import started, wait_for_brokers, while_away
from tally.streams.worker.metrics import GROUP_ROLES, Metrics, is_shown
from tally.streams.worker.number_letters import NumberLetters
from tally.streams.worker.observer import WorkerObserver
from tally.streams.worker.read_side import ReadSide
from tally.streams.worker.roles import fold_app, route_app, sink_services, written_kinds
from tally.tables.kafka.dead_letters import DeadLetters
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.postgres.database import Database
from tally.tables.postgres.failures import PostgresFailure
from tally.tables.postgres.writer import Writer
from tally.tables.store.marks import log_topics

log = structlog.get_logger()

FOLD_CLOSE_SECONDS = 15.0
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
        self._watchdog = Watchdog(settings.session_timeout_seconds, stuck, time.monotonic)
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
        await self._closing.enter_async_context(beating(self._watchdog, self._observer))
        logs = TopicLogs(settings.kafka, log_topics(settings.names))
        await while_away(logs.check_first)
        # Before the worker joins its groups: with another deployment's database it ends here.
        writer = await self._writer(logs) if "sink" in roles else None
        reads = self._reads() if "view" in roles else None
        progress = logs.first_progress if reads is None else reads.progress
        self._services["logs"] = LogWatch(logs.connect, progress).run
        self._serve_health(reads)
        if reads is not None:
            self._apps.append(await reads.app(self._member, self._closing))
            self._services |= reads.services
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
        letters = NumberLetters(dead_letters, self._observer)

        def changed(numbers: Numbers, known: KnownNumbers) -> None:
            route.read_by(structs.replace(conventions, numbers=numbers))
            letters.note(known.unread.values())

        follower = numbers_follower(settings, changed)
        await while_away(follower.start)
        self._services |= {"numbers": follower.run, "number letters": letters.run}
        self._apps.append(route_app(settings, route, self._observer))

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

    def _reads(self) -> ReadSide:
        return ReadSide(self._settings, self._partitions, self._metrics, self._observer)

    def _serve_health(self, reads: ReadSide | None) -> None:
        """Serve metrics and health; of several processes the parent does, and asks each for its own."""
        settings, live, ready = self._settings, self._live, lambda: self._ready(reads)
        if self._member is None:
            own = http_app(self._metrics, {"live": live, "ready": ready}, settings.web_hosts)
            host, port = settings.metrics_host, settings.metrics_port
            self._services["metrics"] = lambda: serve(WebServer(own), host, port)
        else:
            shown = partial(is_shown, settings.roles)
            self._member.tells(lambda: report_of(self._metrics.registry, shown), live, ready)
            self._services["channel"] = self._member.run

    def _live(self) -> health.Verdict:
        return health.live(self._observer.pulses(), time.monotonic(), self._settings.stuck_seconds)

    def _ready(self, reads: ReadSide | None) -> health.Verdict:
        """Decide on readiness; a process that serves no numbers is not judged by view or lag."""
        ready = self._partitions
        lag_s: float | None = 0.0
        if reads is not None:
            ready, lag_s = reads.view.ready_partitions, reads.freshness.lag_seconds()
        left_s = self._observer.opening_left_seconds()
        opening, joining = len(self._opening()), self._joining()
        state = health.Readiness(ready, self._partitions, opening, lag_s, joining, left_s)
        return health.ready(state, self._settings.live_lag_seconds)

    def _joining(self) -> tuple[str, ...]:
        # Numbers are live without Postgres, and so without the sink.
        consuming = (role for role in GROUP_ROLES if role in self._settings.roles and role != "sink")
        return tuple(role for role in consuming if role not in self._observer.joined)


def _route_failed(error: BaseException) -> None:
    fail("route failed", error)
