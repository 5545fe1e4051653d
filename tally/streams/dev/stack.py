"""The servers that a demo or a try-out runs on: embedded ones, or those that the settings name."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from tally.deploy.local import LocalCluster, LocalPostgres, LocalServers
from tally.streams.settings import Settings, load, variable

KAFKA = variable("kafka_bootstrap")
POSTGRES = variable("postgres_dsn")
REPLICAS = variable("replication_factor")

Say = Callable[[str], None]


class Stack(Struct, frozen=True):
    """Running servers, and the environment by which workers find them."""

    settings: Settings
    environment: dict[str, str]
    is_embedded: bool = False


class HalfAStack(Exception):
    """One of Kafka and Postgres is named and the other is not; name both, or neither."""


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
    with _embedded(folder, brokers, say) as (bootstrap, postgres):
        say(f"Kafka on {bootstrap}, PostgreSQL on port {postgres.port}")
        # One embedded broker has no other to keep a second copy.
        own = {KAFKA: bootstrap, POSTGRES: postgres.dsn, REPLICAS: str(min(brokers, 3))}
        environment = own | more
        yield Stack(load({**os.environ, **environment}), environment, is_embedded=True)


@contextmanager
def _embedded(folder: Path, brokers: int, say: Say) -> Iterator[tuple[str, LocalPostgres]]:
    """Run one broker or a cluster, and Postgres; what ran before goes on running."""
    if brokers == 1:
        with LocalServers.start(folder, say=say) as servers:
            yield servers.kafka.bootstrap, servers.postgres
        return
    with ExitStack() as closing:
        cluster = LocalCluster.start(folder, brokers, say=say)
        if not cluster.adopted:
            closing.callback(cluster.stop)
        postgres = LocalPostgres.start(folder, say=say)
        if not postgres.adopted:
            closing.callback(postgres.stop)
        yield cluster.bootstrap, postgres
