"""Separate servers for each section: no former section slows the next."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from msgspec import Struct

from tally.deploy.local import LocalKafka, LocalPostgres
from tally.deploy.local.kafka_config import Node
from tally.streams.dev.database import with_database
from tally.streams.settings import Settings, variable
from tests.support.servers import execute
from tests.support.workers import environment_of

PARTITIONS: int = Settings.model_fields["partitions"].default
"""Every contender has as many partitions as a deployment has by default."""


class LongLivedKafka(LocalKafka):
    """A broker that is as fast as a deployment's, once it has been compiled."""

    node = Node(is_long_lived=True)


class Servers(Struct, frozen=True):
    """A running broker, a running Postgres, and a folder that is removed with them."""

    bootstrap: str
    dsn: str
    folder: Path

    def environment(self, prefix: str, partitions: int = PARTITIONS) -> dict[str, str]:
        """Return the environment variables of a worker on these servers."""
        return environment_of(self.bootstrap, self.dsn, prefix, partitions=str(partitions))


@contextmanager
def servers() -> Iterator[Servers]:
    """Start empty servers; stop them and remove their data on exit of the context."""
    with TemporaryDirectory(prefix="tally-bench-") as name, ExitStack() as closing:
        folder = Path(name)
        kafka = LongLivedKafka.start(folder, port=0)
        closing.callback(kafka.stop)
        postgres = LocalPostgres.start(folder, port=0)
        closing.callback(postgres.stop)
        yield Servers(kafka.bootstrap, postgres.dsn, folder)


@asynccontextmanager
async def own_database(environment: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """Make a database on the server of an environment, yield the environment with it, and drop it."""
    dsn, name = environment[variable("postgres_dsn")], f"bench_{uuid4().hex}"
    await execute(dsn, f"CREATE DATABASE {name}")
    try:
        yield {**environment, variable("postgres_dsn"): with_database(dsn, name)}
    finally:
        await execute(dsn, f"DROP DATABASE {name}")
