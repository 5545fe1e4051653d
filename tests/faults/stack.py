"""The deployment under faults: a broker and a Postgres behind wires, and supervised workers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from tally.deploy import migrate
from tally.deploy.local import LocalKafka, LocalPostgres
from tally.streams.dev.free_port import free_port
from tally.streams.operations import topics
from tally.streams.settings import Settings, load, variable
from tests.faults.hooked_worker import HookedWorker
from tests.faults.wire import Wire, wire
from tests.faults.wired_kafka import wired_kafka
from tests.support.keys import answers_of, put_key
from tests.support.workers import environment_of

READY_SECONDS = 90.0
SESSION_SECONDS = 4
SUPERVISE_SECONDS = 0.1


class Stack:
    """A whole deployment on one machine. Workers reach the servers through wires, the judge directly."""

    def __init__(
        self,
        kafka: LocalKafka,
        postgres: LocalPostgres,
        environment: dict[str, str],
        workers: list[HookedWorker],
        kafka_wires: list[Wire],
        postgres_wire: Wire,
    ) -> None:
        self.kafka = kafka
        self.postgres = postgres
        self.environment = environment
        self.workers = workers
        self.kafka_wires = kafka_wires
        """One wire for each worker."""
        self.postgres_wire = postgres_wire
        self.held: set[HookedWorker] = set()
        """Workers that are not restarted for now."""
        self.exits: list[tuple[str, int]] = []
        """Name and exit code of each worker that has ended."""

    @property
    def settings(self) -> Settings:
        """Settings that reach the servers without wires."""
        return load(self.environment)

    @property
    def dsn(self) -> str:
        """The DSN of Postgres without the wire."""
        return self.postgres.dsn

    def worker(self, name: str) -> HookedWorker:
        """Return a worker by its name."""
        return next(worker for worker in self.workers if worker.name == name)

    def kafka_wire(self, name: str) -> Wire:
        """Return a worker's wire to the broker."""
        return self.kafka_wires[[worker.name for worker in self.workers].index(name)]

    async def start(self, *names: str) -> None:
        """Start the named workers, or all, and wait until the first of them is ready."""
        chosen = [worker for worker in self.workers if not names or worker.name in names]
        for worker in self.workers:
            if worker not in chosen:
                self.held.add(worker)
        for worker in chosen:
            self.held.discard(worker)
            worker.start()
        await self.ready(chosen[0])

    async def serving(self, worker: HookedWorker) -> None:
        """Wait until a worker answers, so its event loop runs."""
        began = time.monotonic()
        async with answers_of(worker) as answers:
            while time.monotonic() - began < READY_SECONDS:
                try:
                    await answers.lives()
                except (aiohttp.ClientError, TimeoutError):
                    await asyncio.sleep(SUPERVISE_SECONDS)
                else:
                    return
        raise AssertionError(f"{worker.name} does not answer")

    async def ready(self, worker: HookedWorker) -> float:
        """Wait until a worker is ready; return the seconds that took."""
        async with answers_of(worker) as answers:
            return await answers.wait_until_ready(READY_SECONDS)

    async def counted(self, worker: HookedWorker, deadline_seconds: float) -> float:
        """Wait until a worker's live answers hold everything published so far; return the seconds."""
        async with answers_of(worker) as answers:
            return await answers.wait_until_counted(time.time() * 1000, deadline_seconds)

    async def supervise(self) -> None:
        """Restart workers that have ended, until cancelled."""
        while True:
            for worker in self.workers:
                if worker.process is not None and worker not in self.held and not worker.is_running:
                    self.exits.append((worker.name, worker.wait(1.0)))
                    worker.start()
            await asyncio.sleep(SUPERVISE_SECONDS)


async def until(what: Callable[[], bool], timeout_seconds: float, why: str) -> float:
    """Wait until a condition holds; return the seconds that took. Raises AssertionError."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < timeout_seconds, f"not within {timeout_seconds:g} s: {why}"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


@asynccontextmanager
async def stack(
    folder: Path, names: tuple[str, ...] = ("a", "b"), postgres_folder: Path | None = None, **more: str
) -> AsyncIterator[Stack]:
    """Start servers and wires, migrate and declare topics; create workers without starting them."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with AsyncExitStack() as closing:
        ports = [(free_port(0), free_port(0)) for _ in names]
        kafka_class = wired_kafka(tuple(ports))
        kafka = await asyncio.to_thread(kafka_class.start, folder / "servers", 0)
        closing.callback(kafka.stop)
        kafka_wires = [await closing.enter_async_context(wire(*pair)) for pair in ports]
        bootstraps = {name: f"127.0.0.1:{made.port}" for name, made in zip(names, kafka_wires, strict=True)}
        yield await deployed(
            closing, folder, kafka, kafka.bootstrap, bootstraps, kafka_wires, postgres_folder, more
        )


async def deployed(
    closing: AsyncExitStack,
    folder: Path,
    kafka: LocalKafka,
    bootstrap: str,
    bootstraps: Mapping[str, str],
    kafka_wires: list[Wire],
    postgres_folder: Path | None,
    more: Mapping[str, str],
) -> Stack:
    """Start Postgres, migrate, declare topics and create a worker for each name, on running brokers.

    `bootstrap` reaches the brokers directly; `bootstraps` holds the address given to each worker.
    """
    postgres = await asyncio.to_thread(LocalPostgres.start, postgres_folder or folder / "servers", 0)
    closing.callback(postgres.stop)
    postgres_wire = await closing.enter_async_context(wire(free_port(0), postgres.port))
    environment = environment_of(
        bootstrap,
        postgres.dsn,
        "f-",
        **{"session_timeout_seconds": str(SESSION_SECONDS), "ledger": "true", **more},
    )
    await asyncio.to_thread(migrate.up, postgres.dsn)
    await topics.declare(load(environment))
    await put_key(load(environment))
    wired = {variable("postgres_dsn"): _through(postgres.dsn, postgres_wire.port)}
    workers = []
    for name, told in bootstraps.items():
        own = {**environment, **wired, variable("kafka_bootstrap"): told}
        workers.append(HookedWorker(own, folder, name))
        closing.callback(workers[-1].kill)
    made = Stack(kafka, postgres, environment, workers, kafka_wires, postgres_wire)
    supervising = asyncio.ensure_future(made.supervise())
    closing.callback(supervising.cancel)
    return made


def _through(dsn: str, port: int) -> str:
    parts = urlsplit(dsn)
    credentials = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}"))
