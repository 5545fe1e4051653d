"""What the embedded broker is told: its configuration and the identity of its data folder."""

from base64 import urlsafe_b64encode
from uuid import uuid4

from tally.deploy.local.ports import LOOPBACK

META = "meta.properties"
# Paths are relative to the working directory, since a properties file is Latin-1 and commas separate folders.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs=data
auto.create.topics.enable=false
# One broker holds everything once.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Fewer internal partitions, so that it starts sooner.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=1
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


def kafka_uuid() -> str:
    """An id in Kafka's notation; one that begins with "-" would be read as an option by its tools."""
    while (text := urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def server_properties(port: int, controller_port: int) -> str:
    """The configuration file of the broker."""
    return PROPERTIES.format(host=LOOPBACK, port=port, controller_port=controller_port)


def meta_properties(cluster_id: str, directory_id: str) -> str:
    """What Kafka's own formatting writes into a data folder, with these ids."""
    return f"cluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id=1\nversion=1\n"


def cluster_id_of(meta: str) -> str:
    """The cluster's id in the text of a `meta.properties`."""
    key = "cluster.id="
    return next(line.removeprefix(key) for line in meta.splitlines() if line.startswith(key))
