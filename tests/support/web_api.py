"""The read API on a running web server, over a view that the test fills."""

import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from tally.agents.lag.tracker import LagTracker, Moment
from tally.agents.view.exports import MOST, Exports
from tally.agents.view.freshness import Freshness
from tally.agents.view.model import View
from tally.agents.view.queries import Queries
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.places import RecordPlace
from tally.streams.dev.free_port import free_port
from tally.streams.keys.keyring import Keyring
from tally.streams.keys.sessions import Sessions
from tally.streams.reports.kept import Reports
from tally.streams.web import log_in
from tally.streams.web.admission import UNBOUND, Admission
from tally.streams.web.app import WebApp
from tally.streams.web.journal import Journal
from tally.streams.web.limits import Limit
from tally.streams.web.routes import NEEDED, WITHOUT_KEY, description, register
from tally.streams.web.told_stories import RawReader, Stories
from tally.streams.web.viewers import TICK_SECONDS
from tally.streams.worker.metrics import Metrics
from tally.tables.kafka.raw_records import Gone, Held
from tally.tables.postgres.database import Database
from tally.tables.postgres.moment import MomentReader
from tally.tables.rules import Rules
from tests.support.described import Described
from tests.support.keys import KEY, PRESENTED, SHOWN
from tests.support.view_rows import put_progress

NO_POSTGRES = "postgresql://127.0.0.1:1/none"
"""Nobody listens there: what is in Postgres alone is away."""
SECRET = "s" * 32
SUBJECTS = {"message": "0" * 32, "call": "0" * 32, "customer": "0" * 32}
"""Ids in paths of stories, of nobody."""
OPERATORS = "/v1/tenants/t1/operators"
ODD_IDS = [
    "a/b",
    "%2F",
    "a%2Fb",
    "%",
    "%25",
    "%FF",
    "ü",
    "日本",
    "a b",
    "a+b",
    "{x}",
    "a,b",
    "?q",
    "#h",
    ";x",
]
ODD_IDS += ['"', "\\", "a&b=c", "*", "//", "x" * 128, ":", "~", "..."]


class NoBrokers:
    """Raw topics of which nothing can be read."""

    async def at(self, _: Collection[RecordPlace]) -> Mapping[RecordPlace, Held | Gone]:
        raise TimeoutError

    async def between(self, *_: object) -> Mapping[RecordPlace, Held]:
        raise TimeoutError


NO_BROKERS = NoBrokers()


DESCRIBED = Described(description().document)


class Api:
    """A running web server over a view that the test fills."""

    def __init__(
        self,
        port: int,
        http: aiohttp.ClientSession,
        metrics: Metrics,
        partitions: int,
        limit: Limit,
        database: Database,
        secret: str,
        hosts: tuple[str, ...] = (),
    ) -> None:
        self.view = View(partitions)
        self.lag = LagTracker()
        self.metrics = metrics
        self.paths: set[str] = set()
        """Of the server's router, whoever added them."""
        self.keyring = Keyring()
        self.keyring.put(PRESENTED.key_id, KEY)
        self.keyring.known()
        self.log_ins = log_in.LogIns(self.keyring, Sessions([secret]))
        self.admission = Admission(
            self.keyring,
            NEEDED,
            hosts,
            without_key=WITHOUT_KEY,
            limit=limit,
            sessions=self.log_ins.sessions,
            logs_in=log_in.PATH,
        )
        self.reports = Reports()
        self.now_ms = 1_795_350_900_000
        self.port = port
        self.served: Queries
        """What the server answers from."""
        self._base = f"http://127.0.0.1:{port}"
        self._http = http
        self._database = database

    def catch_up(self) -> None:
        """Mark all partitions as read and everything up to now as counted."""
        for partition in range(self.view.partitions):
            self.view.set_ready(partition)
            put_progress(self.view, partition, 10 + partition)
        self.note_counted()

    def note_counted(self) -> None:
        """Mark everything up to now as counted."""
        self.lag.note_ends(Moment(time.monotonic(), time.time_ns() // 1_000_000), {})
        self.lag.note_committed({})
        self.lag.note_facts_ends({})

    def catch_up_to(self, transaction: int) -> None:
        """Mark everything up to a transaction of partition 0 as counted."""
        self.catch_up()
        put_progress(self.view, 0, 10 + transaction, seq=transaction)

    def freshness(self, generation: int) -> Freshness:
        return Freshness(self.view, self.lag, generation, time.monotonic, 60)

    def queries(self, generation: int = 3) -> Queries:
        freshness = self.freshness(generation)
        postgres = MomentReader(self._database, generation)
        return Queries(self.view, freshness, time.monotonic, lambda: self.now_ms, postgres)

    def stories(self, generation: int, raw: RawReader) -> Stories:
        postgres, freshness = MomentReader(self._database, generation), self.served.freshness
        return Stories(postgres, freshness, raw, Rules(), lambda: CONVENTIONS, self.view.partitions)

    async def ask(
        self, target: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """Send a request, and hold its answer against the description of the read API."""
        url = URL(self._base + target, encoded=True)
        shown = SHOWN if headers is None else SHOWN | headers
        async with self._http.request(method, url, headers=shown) as response:
            body = await response.read()
        DESCRIBED.check(method, target.partition("?")[0], response.status, response.headers, body)
        return response, body


@asynccontextmanager
async def serving(
    *,
    debug: bool,
    partitions: int = 2,
    port: int = 0,
    limit: Limit = UNBOUND,
    dsn: str = NO_POSTGRES,
    secret: str = SECRET,
    generation: int = 3,
    hosts: tuple[str, ...] = (),
    tick_seconds: float = TICK_SECONDS,
    raw: RawReader = NO_BROKERS,
    export_seconds: float = 10.0,
) -> AsyncIterator[Api]:
    """Serve the read API from a Faust app, in production or debug mode, on a given port or a free one."""
    port, metrics = port or free_port(0), Metrics("0.0.0")
    app = WebApp(
        "tally-web-test",
        metrics,
        broker="kafka://127.0.0.1:1",
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=port,
        debug=debug,
    )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        database = await Database.open(dsn, deadline_seconds=2.0)
        exporting = await Database.open(
            dsn, connections=MOST, deadline_seconds=export_seconds, connect_seconds=2.0
        )
        running = Api(port, http, metrics, partitions, limit, database, secret, hosts)
        running.served = running.queries(generation)
        journal, stories = Journal(metrics, NEEDED), running.stories(generation, raw)
        exports = Exports(MomentReader(exporting, generation), running.freshness(generation))
        register(
            app,
            running.served,
            running.admission,
            journal,
            running.log_ins,
            running.reports,
            stories,
            exports,
            tick_seconds,
        )
        await app.web.start()
        router = app.web.web_app.router  # type: ignore[attr-defined]
        running.paths = {resource.canonical for resource in router.resources()}
        try:
            yield running
        finally:
            await app.web.stop()
            await database.close()
            await exporting.close()


def campaign_target(tenant: str, campaign: str) -> str:
    return f"/v1/tenants/{quote(tenant, safe='')}/campaigns/{quote(campaign, safe='')}"


def error_code(body: bytes) -> str:
    error = orjson.loads(body)["error"]
    assert set(error) == {"code", "message"}
    assert error["message"]
    return str(error["code"])
