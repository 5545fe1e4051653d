"""What the batched transport is told about an app."""

from collections.abc import Callable
from typing import Any

from faust.types import TP
from msgspec import Struct


class Options(Struct, frozen=True):
    """Limits, client arguments, and who hears of assignments."""

    client: dict[str, Any]
    """Arguments of every aiokafka client: addresses and credentials."""
    assigned: Callable[[set[TP]], None]
    """Called with all partitions of this worker after each rebalance; must not wait."""
    revoked: Callable[[set[TP]], None]
    """Called with all partitions before each rebalance; must not wait."""
    drain_seconds: float
    """How long a rebalance waits for runs that are under way; with 0 the next owner does them again."""
    max_records: int = 1_000
    max_outstanding: int = 4
    fetch_wait_ms: int = 50
    session_timeout_ms: int = 6_000
    fetch_bytes: int = 1 << 20
