"""Every client of the brokers that Tally has: what all of one kind have in common stands here, once.

A caller adds only what is its own: sizes, time-outs, where a reader begins.
"""

import ssl
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from msgspec import Struct

from tally.tables.kafka.fetched_batches import bound_unpacking

COMMITTED = {
    # What a transaction aborted was never published.
    "isolation_level": "read_committed",
    # Where reading goes on is kept with what was counted, or committed by us.
    "enable_auto_commit": False,
}


class KafkaClients(Struct, frozen=True):
    """Where the brokers are and how to log in there, and what makes the clients that do."""

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
        """Return a consumer of committed records that takes part in no group.

        `offset_reset` is where reading goes on once an offset is gone: `none` makes that an error.
        """
        bound_unpacking()
        return AIOKafkaConsumer(**self.client(), **COMMITTED, auto_offset_reset=offset_reset, **options)

    def group_reader_options(self, **options: Any) -> dict[str, Any]:
        """Return the arguments of a consumer of a group, of a class of its own; it reads as a `reader`."""
        bound_unpacking()
        return {**self.client(), **COMMITTED, "auto_offset_reset": "earliest", **options}

    def offsets_reader(self, **options: Any) -> AIOKafkaConsumer:
        """Return a consumer that is asked where logs begin and end, and what time a record has.

        An end is the high watermark: the last stable offset would leave out what other producers were told
        is safe, for as long as anybody keeps a transaction open before it.
        """
        bound_unpacking()
        return AIOKafkaConsumer(**self.client(), enable_auto_commit=False, **options)

    def producer(self, is_idempotent: bool = True, **options: Any) -> AIOKafkaProducer:
        """Return a producer that waits for all replicas in sync."""
        return AIOKafkaProducer(**self.client(), acks="all", enable_idempotence=is_idempotent, **options)

    def transactional_producer(self, transactional_id: str, **options: Any) -> AIOKafkaProducer:
        """Return a producer whose start fences the former one with this id."""
        return AIOKafkaProducer(**self.client(), transactional_id=transactional_id, **options)

    def admin(self, request_timeout_ms: int) -> AIOKafkaAdminClient:
        """Return a client that describes and changes topics, and asks for offsets of groups."""
        return AIOKafkaAdminClient(**self.client(), request_timeout_ms=request_timeout_ms)
