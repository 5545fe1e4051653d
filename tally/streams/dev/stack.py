"""The servers for a demo or `tally up`: embedded ones, or those that the environment names."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from tally.deploy.local import LocalCluster, LocalPostgres, LocalServer, LocalServers
from tally.streams.settings import Settings, load, variable

KAFKA = variable("kafka_bootstrap")
POSTGRES = variable("postgres_dsn")
REPLICAS = variable("replication_factor")
LOG_END_BYTES = 4_096

Say = Callable[[str], None]


class Stack(Struct, frozen=True):
    """Running servers, and the environment through which workers find them."""

    settings: Settings
    environment: dict[str, str]
    servers: tuple[LocalServer, ...] = ()
    """The embedded servers; empty if the environment names others."""

    @property
    def is_embedded(self) -> bool:
        """Whether the servers are embedded, so only Tally uses them."""
        return bool(self.servers)

    def ended(self) -> list[str]:
        """Return a sentence for each embedded server whose process has ended."""
        return [
            f"{server.name} has ended by itself; its log, {server.log_path}, ends with: {_last_line(server)}"
            for server in self.servers
            if not server.alive
        ]


def _last_line(server: LocalServer) -> str:
    with server.log_path.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_END_BYTES))
        lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


class HalfAStack(Exception):
    """The environment names only one of Kafka and Postgres; it must name both or neither."""


@contextmanager
def running(folder: Path, say: Say, **more: str) -> Iterator[Stack]:
    """Run embedded servers in a folder, unless the environment names real ones. Raises HalfAStack.

    `more` are further settings, by environment variable.
    """
    named = [name for name in (KAFKA, POSTGRES) if os.environ.get(name)]
    if len(named) == 1:
        raise HalfAStack(f"{named[0]} is set alone: set both {KAFKA} and {POSTGRES}, or neither")
    if named:
        say("using the Kafka and Postgres that the environment names")
        environment = {name: os.environ[name] for name in (KAFKA, POSTGRES)} | more
        yield Stack(load({**os.environ, **environment}), environment)
        return
    brokers = load().brokers
    with _embedded(folder, brokers, say) as embedded:
        say(f"Kafka on {embedded.bootstrap}, PostgreSQL on port {embedded.postgres.port}")
        # A single embedded broker cannot hold a second replica.
        own = {
            KAFKA: embedded.bootstrap,
            POSTGRES: embedded.postgres.dsn,
            REPLICAS: str(min(brokers, 3)),
        }
        environment = own | more
        yield Stack(load({**os.environ, **environment}), environment, (*embedded.brokers, embedded.postgres))


class _Embedded(NamedTuple):
    bootstrap: str
    postgres: LocalPostgres
    brokers: tuple[LocalServer, ...]


@contextmanager
def _embedded(folder: Path, brokers: int, say: Say) -> Iterator[_Embedded]:
    """Run one broker or a cluster, and Postgres; leave servers running that ran before."""
    if brokers == 1:
        with LocalServers.start(folder, say=say) as both:
            yield _Embedded(both.kafka.bootstrap, both.postgres, (both.kafka,))
        return
    with ExitStack() as closing:
        cluster = LocalCluster.start(folder, brokers, say=say)
        if not cluster.adopted:
            closing.callback(cluster.stop)
        postgres = LocalPostgres.start(folder, say=say)
        if not postgres.adopted:
            closing.callback(postgres.stop)
        yield _Embedded(cluster.bootstrap, postgres, tuple(cluster.brokers))
