"""Configuration of the batched transport for one app."""

import random
from collections.abc import Callable

from faust.types import TP
from msgspec import Struct

from tally.tables.kafka.clients import KafkaClients


class RunLimits(Struct, frozen=True):
    """Bounds on fetched and delivered records; all but `max_all_bytes` hold for each partition."""

    max_records: int = 1_000
    """Records in one run."""
    max_bytes: int = 4 << 20
    """Bytes of memory that the records of one run take; a single larger record becomes a run alone."""
    max_outstanding: int = 4
    """Runs that are delivered and not acknowledged."""
    max_waiting: int = 1
    """Runs that wait for delivery; at this bound the partition is not fetched. One is enough, since the
    client fetches the next while it waits; more only hold memory."""
    max_all_bytes: int = 16 << 20
    """Bytes of memory, over all partitions, of runs under way; the same bound holds for waiting records.
    At the first nothing more is delivered, at the second nothing more is fetched. One run and one fetch may
    exceed it."""


class TransportConfig(Struct, frozen=True):
    """Broker clients, listeners of assignments, limits and intervals of one app's transport."""

    kafka: KafkaClients
    assigned: Callable[[set[TP]], None]
    """Called with all partitions of this worker after each rebalance; must not wait."""
    revoked: Callable[[set[TP]], None]
    """Called with all partitions once they are drained and committed, before each rebalance and at the
    stop; must not wait. Later acknowledgements have no effect."""
    drain_seconds: float = 5.0
    """How long a rebalance or a stop waits for runs under way; the rest is delivered again."""
    limits: RunLimits = RunLimits()
    fetch_wait_ms: int = 50
    """How long a fetch without data waits at the broker; Faust's 1,500 ms delay busy partitions."""
    linger_ms: int = 8
    """How long a fetch lingers at the broker for `linger_bytes` while records flow: a fetch costs more CPU
    than a hundred records. Rejected: a timer before the fetch. The client sends the next request as soon as
    records are taken, so a timer only holds back what that request has brought at once."""
    linger_bytes: int = 20_000
    """Bytes that end the lingering: some hundred statuses."""
    fetch_bytes: int = 1 << 19
    """Bytes per fetch for one partition: enough for a run of ordinary records, with little left to wait."""
    fetch_all_bytes: int = 4 << 20
    """Bytes per fetch for all partitions; the client holds a response twice while it parses it."""
    session_timeout_ms: int = 6_000
    rebalance_timeout_ms: int = 30_000
    commit_seconds: float = 0.2
    random: Callable[[], float] = random.random
    """From 0 to 1; spreads the pauses between attempts to connect."""
    tells_starts: bool = False
    """Whether lost records are detected and reported. If so, a run without records announces each start of
    reading and each lost range, and commits hold the topic's id."""
