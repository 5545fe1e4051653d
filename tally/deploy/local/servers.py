"""Both embedded servers together, started side by side."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tally.deploy.local.kafka import LocalKafka
from tally.deploy.local.postgres import LocalPostgres
from tally.deploy.local.server import START_DEADLINE_SECONDS, LocalServer, Say, silent


@dataclass(frozen=True)
class LocalServers:
    """The embedded Kafka and PostgreSQL of one folder; as a context manager it stops what it started."""

    kafka: LocalKafka
    postgres: LocalPostgres

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        kafka_port: int | None = None,
        postgres_port: int | None = None,
        deadline_seconds: float = START_DEADLINE_SECONDS,
        say: Say = silent,
    ) -> Self:
        """Start or adopt both; if one fails, stop the other, unless it ran before. Raises as each start."""
        with ThreadPoolExecutor(2) as pool:
            kafka = pool.submit(LocalKafka.start, folder, kafka_port, deadline_seconds, say)
            postgres = pool.submit(LocalPostgres.start, folder, postgres_port, deadline_seconds, say)
            try:
                return cls(kafka.result(), postgres.result())
            except BaseException:
                # `exception()` waits for the other start, which has its own deadline.
                futures: tuple[Future[Any], ...] = (kafka, postgres)
                _stop_started([future.result() for future in futures if future.exception() is None])
                raise

    def stop(self, *, adopted_too: bool = False) -> None:
        """Stop the servers that we started; with `adopted_too`, both."""
        servers: tuple[LocalServer, ...] = (self.kafka, self.postgres)
        if adopted_too:
            _stop_all(servers)
        else:
            _stop_started(servers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _stop_started(servers: Sequence[LocalServer]) -> None:
    _stop_all([server for server in servers if not server.adopted])


def _stop_all(servers: Sequence[LocalServer]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for stopped in [pool.submit(server.stop) for server in servers]:
            stopped.result()
