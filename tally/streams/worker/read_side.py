"""The read side of a worker: the view, how far it is counted, what is asked of it, and the read API."""

import random
import time
from contextlib import AsyncExitStack
from math import ceil

from msgspec import structs

from tally.agents.clock import unix_ms
from tally.agents.lag.loop import LagLoop
from tally.agents.lag.offsets import Pipeline, kafka_offsets
from tally.agents.lag.tracker import LagTracker, Moment
from tally.agents.view.exports import MOST, OPENING_SECONDS, Exports
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
from tally.schemas.topics import COUNTERS
from tally.streams.keys.keyring import Keyring, keys_follower
from tally.streams.operations.numbers import KnownNumbers, numbers_follower
from tally.streams.processes.member import Member
from tally.streams.reports.kept import Reports, reports_follower
from tally.streams.runtime.run import Service
from tally.streams.settings import Settings
from tally.streams.web.admission import Admission
from tally.streams.web.app import WebApp, web_app
from tally.streams.web.journal import Journal
from tally.streams.web.limits import Limit
from tally.streams.web.log_in import PATH as SESSION_PATH
from tally.streams.web.log_in import log_ins_of
from tally.streams.web.routes import NEEDED, WITHOUT_KEY, register
from tally.streams.web.told_stories import AT_ONCE, Stories
from tally.streams.worker.metrics import Metrics, follow_view
from tally.streams.worker.observer import WorkerObserver
from tally.tables.kafka.raw_records import RawTopics
from tally.tables.postgres.database import Database
from tally.tables.postgres.moment import MomentReader

SERIES_CONNECTIONS = 2
"""For reads of numbers over time, beside those of the sink: a slow read holds up no write."""
SERIES_SECONDS = 5.0
RAW_SECONDS = 5.0
"""For a story's raw records; what has not come by then is told without."""


class ReadSide:
    """What a worker with the role `view` holds and serves, and the loops behind it."""

    def __init__(
        self, settings: Settings, partitions: int, metrics: Metrics, observer: WorkerObserver
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._observer = observer
        self._lag = LagTracker()
        self.view = View(partitions)
        self.freshness = Freshness(
            self.view,
            self._lag,
            settings.generation,
            time.monotonic,
            settings.live_lag_seconds,
            self._openings,
        )
        self.services: dict[str, Service] = {"view": self._view_loop().run, "lag": self._lag_loop().run}
        """By name; `app` adds those of the read API."""
        follow_view(metrics, self.view, self.freshness.lag_seconds)

    async def progress(self) -> dict[int, Progress]:
        """Return the progress of each partition that has any."""
        known = {partition: self.view.progress(partition) for partition in range(self.view.partitions)}
        return {partition: progress for partition, progress in known.items() if progress is not None}

    async def app(self, member: Member | None, closing: AsyncExitStack) -> WebApp:
        """Return the app of the read API; `closing` closes what it reads from.

        `member` is the tie to the other processes of this worker, if it has others.
        """
        settings, keyring, reports = self._settings, Keyring(), Reports()
        queries = await self._queries(closing)
        self.services["keys"] = keys_follower(settings, keyring).run
        self.services["reports"] = reports_follower(settings, reports).run
        app = web_app(settings, self._metrics, member)
        log_ins = log_ins_of(settings, keyring)
        admission = Admission(
            keyring,
            NEEDED,
            settings.web_hosts,
            settings.web_origins,
            WITHOUT_KEY,
            Limit(settings.reads_per_second, settings.reads_burst),
            log_ins.sessions,
            logs_in=SESSION_PATH,
        )
        stories = await self._stories(queries, closing)
        exports = await self._exports(closing)
        journal = Journal(self._metrics, NEEDED)
        register(app, queries, admission, journal, log_ins, reports, stories, exports)
        return app

    async def _exports(self, closing: AsyncExitStack) -> Exports:
        database = await Database.open(
            self._settings.postgres_dsn.get_secret_value(),
            connections=MOST,
            deadline_seconds=self._settings.export_seconds,
            connect_seconds=OPENING_SECONDS,
        )
        closing.push_async_callback(database.close)
        return Exports(MomentReader(database, self._settings.generation), self.freshness)

    async def _queries(self, closing: AsyncExitStack) -> Queries:
        settings = self._settings
        database = await Database.open(
            settings.postgres_dsn.get_secret_value(),
            connections=SERIES_CONNECTIONS,
            deadline_seconds=SERIES_SECONDS,
        )
        closing.push_async_callback(database.close)
        postgres = MomentReader(database, settings.generation)
        queries = Queries(self.view, self.freshness, time.monotonic, postgres=postgres)
        failing = FailingCampaigns(queries, unix_ms)
        self.services["failing campaigns"] = failing.run
        self._metrics.follow("tally_campaigns_failing", lambda: float(len(failing)))

        def known(numbers: Numbers, _: KnownNumbers) -> None:
            queries.numbers = numbers

        self.services["known numbers"] = numbers_follower(settings, known).run
        self.services["paces of numbers"] = NumberLooks(queries, time.monotonic, time.time).run
        return queries

    async def _stories(self, queries: Queries, closing: AsyncExitStack) -> Stories:
        settings = self._settings
        database = await Database.open(
            settings.postgres_dsn.get_secret_value(), connections=AT_ONCE, deadline_seconds=SERIES_SECONDS
        )
        closing.push_async_callback(database.close)
        return Stories(
            MomentReader(database, settings.generation),
            self.freshness,
            RawTopics(settings.kafka, settings.names.raw, RAW_SECONDS),
            settings.rules,
            lambda: structs.replace(settings.conventions, numbers=queries.numbers),
            self.view.partitions,
        )

    def _view_loop(self) -> ViewLoop:
        settings = self._settings
        return ViewLoop(
            self.view,
            settings.names.changelog(COUNTERS),
            lambda: changelog_consumer(settings.kafka),
            lambda: time.time() * 1000,
            self._observer.visible,
            random.random,
        )

    def _lag_loop(self) -> LagLoop:
        settings, names, view = self._settings, self._settings.names, self.view
        raw = {source: names.raw(source) for source in READERS}
        pipeline = Pipeline(raw, names.facts, view.partitions, names.group("route"))
        return LagLoop(
            self._lag,
            lambda: kafka_offsets(pipeline, settings.kafka),
            lambda: {partition: view.next_offset(partition) for partition in range(view.partitions)},
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


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else ceil(seconds)
