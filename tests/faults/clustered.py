"""A deployment on three brokers, and the leaders of its partitions."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from msgspec import Struct

from tally.deploy.local import LocalCluster
from tests.faults.stack import Stack, deployed

COPIES = "3"
LOOK_SECONDS = 0.2


class Led(Struct, frozen=True):
    """Leadership and replication of the partitions of all topics."""

    leaders: dict[int, int]
    """Number of partitions led by each node id; -1 stands for no leader."""
    fewest_in_sync: int

    def leads(self, node_id: int) -> int:
        """Return how many partitions a broker leads."""
        return self.leaders.get(node_id, 0)


class Clustered(Struct, frozen=True):
    """A deployment and its cluster."""

    stack: Stack
    cluster: LocalCluster

    async def until_led(self, what: Callable[[Led], bool], timeout_seconds: float, why: str) -> Led:
        """Wait until the leadership meets a condition. Raises AssertionError."""
        found: Led | None = None
        try:
            async with asyncio.timeout(timeout_seconds), self._admin() as admin:
                while True:
                    # The broker that is asked may have just died.
                    with suppress(KafkaError):
                        found = await _led(admin)
                        if what(found):
                            return found
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"not within {timeout_seconds:g} s: {why}; last seen: {found}") from None

    async def until_whole(self, timeout_seconds: float) -> Led:
        """Wait until all replicas are in sync and every broker leads some partitions."""
        nodes = {broker.node.node_id for broker in self.cluster.brokers}
        return await self.until_led(
            lambda led: led.fewest_in_sync == len(nodes) and nodes <= led.leaders.keys(),
            timeout_seconds,
            "every copy in sync, and every broker leading",
        )

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self.stack.settings.kafka.client(), request_timeout_ms=5_000)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


async def _led(admin: AIOKafkaAdminClient) -> Led:
    described = await admin.describe_topics()
    partitions = [partition for topic in described for partition in topic["partitions"]]
    leaders = Counter(partition["leader"] for partition in partitions)
    return Led(dict(leaders), min(len(partition["isr"]) for partition in partitions))


@asynccontextmanager
async def clustered(
    folder: Path, names: tuple[str, ...] = ("a", "b"), controller_apart: bool = False
) -> AsyncIterator[Clustered]:
    """Start three brokers and the rest of a `stack`, without wires to the brokers."""
    servers = folder / "servers"
    async with AsyncExitStack() as closing:
        cluster = await asyncio.to_thread(LocalCluster.start, servers, 3, controller_apart)
        closing.callback(cluster.stop)
        bootstraps = dict.fromkeys(names, cluster.bootstrap)
        made = await deployed(
            closing,
            folder,
            cluster.brokers[0],
            cluster.bootstrap,
            bootstraps,
            [],
            None,
            {"replication_factor": COPIES},
        )
        whole = Clustered(made, cluster)
        await whole.until_whole(60)
        yield whole
