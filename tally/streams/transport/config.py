"""What the batched transport is told about an app."""

from collections.abc import Callable

from faust.types import TP
from msgspec import Struct

from tally.tables.kafka.clients import KafkaClients


class RunLimits(Struct, frozen=True):
    """How much is handed out at once; all but the last are bounds for each partition."""

    max_records: int = 1_000
    """Records of one run."""
    max_bytes: int = 4 << 20
    """Of what the records of one run take in memory; a single larger record is a run of its own."""
    max_outstanding: int = 4
    """Runs that are delivered and not acknowledged."""
    max_waiting: int = 1
    """Runs that wait until they may be delivered: a partition with as many is not fetched from. One is
    enough, since the client fetches the next while it waits; more only hold memory."""
    max_all_bytes: int = 16 << 20
    """Of what is under way of all partitions together, and again of what waits: more is not handed out, and
    not fetched. One run and one fetch may go beyond."""


class TransportConfig(Struct, frozen=True):
    """RunLimits, how brokers are reached, and who hears of assignments."""

    kafka: KafkaClients
    assigned: Callable[[set[TP]], None]
    """Called with all partitions of this worker after each rebalance; must not wait."""
    revoked: Callable[[set[TP]], None]
    """Called with all partitions once they are drained and committed, before each rebalance and at the
    stop; must not wait. Acknowledgements after it are harmless and change nothing."""
    drain_seconds: float = 5.0
    """How long a rebalance or a stop waits for runs under way; what is left is delivered again."""
    limits: RunLimits = RunLimits()
    fetch_wait_ms: int = 50
    """How long a fetch without data waits at the broker; Faust's 1,500 hold back busy partitions."""
    linger_seconds: float = 0.01
    """How long to linger before the next fetch where the last one brought few: a fetch costs more than
    a hundred of them."""
    fetch_bytes: int = 1 << 19
    """Bytes that one fetch brings for one partition: a run of ordinary records, and little that waits."""
    fetch_all_bytes: int = 4 << 20
    """Bytes that one fetch brings for all partitions: the client holds an answer twice while it reads it."""
    session_timeout_ms: int = 6_000
    rebalance_timeout_ms: int = 30_000
    commit_seconds: float = 0.2
    tells_starts: bool = False
    """Whether a run without records comes before others wherever reading starts or a hole was found, and
    commits hold the topic's id: so that no record can be lost without a word."""
