"""The configuration of an embedded node, and the identity of its data folder."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from uuid import uuid4

from tally.deploy.local.ports import LOOPBACK

META = "meta.properties"
MOST_COPIES = 3
# Paths are relative to the working directory: a properties file is Latin-1, and commas separate folders.
BROKER_PROPERTIES = """\
listeners=PLAINTEXT://{host}:{port}{controller_listener}
advertised.listeners=PLAINTEXT://{host}:{port}
"""
CONTROLLER_PROPERTIES = """\
listeners=CONTROLLER://{host}:{controller_port}
"""
PROPERTIES = """\
process.roles={roles}
node.id={node_id}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
log.dirs=data
auto.create.topics.enable=false
# As many copies as there are brokers, three at most; one may be away.
default.replication.factor={copies}
min.insync.replicas={insync}
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={insync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={insync}
# Fewer internal partitions, so that it starts sooner.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=1
# Once a broker is back, it leads again within seconds.
leader.imbalance.check.interval.seconds=3
leader.imbalance.per.broker.percentage=0
# A group forms at once, and a dead member is noticed within seconds.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# After a SIGKILL the controller refuses the broker for as long as the former session may live.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# Dead letters have up to 5 MiB, and their batch a little more.
message.max.bytes=6291456
replica.fetch.max.bytes=6291456
# A quarter of the heap would go to the cleaner otherwise.
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
background.threads=2
"""


@dataclass(frozen=True)
class Node:
    """One node of a cluster; the default is a cluster of one."""

    node_id: int = 1
    roles: str = "broker,controller"
    brokers: int = 1
    """The number of brokers in the whole cluster."""
    voters: tuple[tuple[int, int], ...] = ()
    """Node id and port of every controller; empty if this node is the only one, on any port."""
    cluster_id: str = ""
    """Empty if this node makes one."""
    heap_mb: int = 512
    is_long_lived: bool = False
    """Whether its speed after minutes counts more than what it costs until then."""

    @property
    def is_broker(self) -> bool:
        """Whether clients connect to it."""
        return "broker" in self.roles

    @property
    def controller_port(self) -> int | None:
        """The port of the node's own controller; None if the node is not among `voters`."""
        return dict(self.voters).get(self.node_id)


def kafka_uuid() -> str:
    """Return an id in Kafka's notation; its tools would read an id that begins with "-" as an option."""
    while (text := urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def server_properties(node: Node, port: int, controller_port: int) -> str:
    """Return the configuration file of a node; `port` is the broker's, and unused by a lone controller."""
    voters = node.voters or ((node.node_id, controller_port),)
    copies = min(node.brokers, MOST_COPIES)
    common = PROPERTIES.format(
        roles=node.roles,
        node_id=node.node_id,
        voters=",".join(f"{voter}@{LOOPBACK}:{of_voter}" for voter, of_voter in voters),
        copies=copies,
        insync=max(copies - 1, 1),
    )
    is_controller = "controller" in node.roles
    own = BROKER_PROPERTIES if node.is_broker else CONTROLLER_PROPERTIES
    listener = f",CONTROLLER://{LOOPBACK}:{controller_port}" if is_controller else ""
    return common + own.format(
        host=LOOPBACK, port=port, controller_port=controller_port, controller_listener=listener
    )


def meta_properties(cluster_id: str, directory_id: str, node_id: int) -> str:
    """Return the `meta.properties` that Kafka's own formatting writes for these ids."""
    return f"cluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id={node_id}\nversion=1\n"


def cluster_id_of(meta: str) -> str:
    """Return the cluster id in the text of a `meta.properties`."""
    key = "cluster.id="
    return next(line.removeprefix(key) for line in meta.splitlines() if line.startswith(key))
