"""Separate servers for each section: no former section slows the next."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from tally.deploy.local import LocalKafka, LocalPostgres
from tally.deploy.local.kafka_config import Node
from tests.support.workers import environment_of

PARTITIONS = 8


class LongLivedKafka(LocalKafka):
    """A broker that is as fast as a deployment's, once it has been compiled."""

    node = Node(is_long_lived=True)


class Servers(Struct, frozen=True):
    """A running broker, a running Postgres, and a folder that is removed with them."""

    bootstrap: str
    dsn: str
    folder: Path

    def environment(self, prefix: str) -> dict[str, str]:
        """Return the environment variables of a worker on these servers."""
        return environment_of(self.bootstrap, self.dsn, prefix, partitions=str(PARTITIONS))


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
