"""Factory of all Kafka clients, with the options that all clients of one kind share.

Callers add only their own options: sizes, time-outs, where a reader begins.
"""

import ssl
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.producer import sender
from msgspec import Struct

from tally.tables.kafka.fetched_batches import bound_unpacking

TRANSACTION_BACKOFF_SECONDS = 0.002
"""How long a producer waits before it asks again to add partitions while its last transaction completes.

The broker answers a commit before it has written the markers, and refuses the next transaction until then
(KAFKA-5477). Writing them takes a millisecond or two; the client waits 20.
"""

COMMITTED = {
    # Records of aborted transactions were never published.
    "isolation_level": "read_committed",
    # Tally stores positions with its counts, or commits offsets itself.
    "enable_auto_commit": False,
}


class KafkaClients(Struct, frozen=True):
    """Addresses and credentials of the brokers, and methods that make clients from them."""

    bootstrap: tuple[str, ...]
    """host:port of each broker."""
    security: str = "PLAINTEXT"
    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: str = ""
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"KafkaClients({','.join(self.bootstrap)})"

    def client(self) -> dict[str, Any]:
        """Return the arguments that every aiokafka client takes."""
        client: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap),
            "security_protocol": self.security,
        }
        if self.ssl_context is not None:
            client["ssl_context"] = self.ssl_context
        if self.security.startswith("SASL"):
            client["sasl_mechanism"] = self.sasl_mechanism
            client["sasl_plain_username"] = self.username
            client["sasl_plain_password"] = self.password
        return client

    def reader(self, offset_reset: Literal["earliest", "none"], **options: Any) -> AIOKafkaConsumer:
        """Return a consumer of committed records without a group.

        `offset_reset` says where reading continues once an offset is gone: `none` makes that an error.
        """
        bound_unpacking()
        return AIOKafkaConsumer(**self.client(), **COMMITTED, auto_offset_reset=offset_reset, **options)

    def group_reader_options(self, **options: Any) -> dict[str, Any]:
        """Return the arguments of a group's consumer, which reads as a `reader` but is of another class."""
        bound_unpacking()
        return {**self.client(), **COMMITTED, "auto_offset_reset": "earliest", **options}

    def member(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer that is in a group, and says which partitions are its own."""
        return AIOKafkaConsumer(**self.group_reader_options(**options))

    def offsets_reader(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer that looks up where logs begin and end, and the timestamp of a record.

        It reads uncommitted, so an end is the high watermark. The last stable offset would leave out
        acknowledged records of other producers for as long as a transaction stays open before them.
        """
        bound_unpacking()
        return AIOKafkaConsumer(**self.client(), enable_auto_commit=False, **options)

    def producer(self, is_idempotent: bool = True, **options: Any) -> AIOKafkaProducer:
        """Return a producer that waits for all in-sync replicas."""
        return AIOKafkaProducer(**self.client(), acks="all", enable_idempotence=is_idempotent, **options)

    def transactional_producer(self, transactional_id: str, **options: Any) -> AIOKafkaProducer:
        """Return a producer whose start fences the former producer with this id."""
        _retry_soon()
        return AIOKafkaProducer(**self.client(), transactional_id=transactional_id, **options)

    def admin(self, request_timeout_ms: int) -> AIOKafkaAdminClient:
        """Return a client that describes and changes topics, and reads the offsets of groups."""
        return AIOKafkaAdminClient(**self.client(), request_timeout_ms=request_timeout_ms)


def _retry_soon() -> None:
    """Shorten the client's wait between two transactions; it is a constant of its module."""
    sender.BACKOFF_OVERRIDE = TRANSACTION_BACKOFF_SECONDS
