"""Topic ids, partitions and replicas, as the brokers report them.

Only its id tells a topic from an earlier, deleted one of the same name. aiokafka's own requests predate topic
ids, so this module adds the Metadata request of version 12.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from aiokafka.errors import (
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from msgspec import Struct

NO_ID = bytes(16)


class Layout(Struct, frozen=True):
    """One topic, as the brokers report it."""

    topic_id: bytes
    """16 bytes."""
    partitions: int
    replicas: int
    """The smallest number of replicas of any partition; out-of-sync replicas count as well."""


async def layouts(client: Any, names: Sequence[str]) -> dict[str, "Layout | KafkaError"]:
    """Return the layout of each topic, or the error of one that is unknown or that this user may not see.

    `client` is the low-level client of a consumer or admin. The request never creates a topic. Raises
    KafkaError if the brokers do not answer.
    """
    answer = await client.send(client.get_random_node(), DescribeTopics(names))
    return {topic[1]: _layout(topic) for topic in answer.topics}


async def present_layouts(client: Any, names: Sequence[str]) -> dict[str, Layout]:
    """Return the layouts of topics that must all exist. Raises KafkaError if one does not."""
    found = await layouts(client, names)
    for name in names:
        layout = found.get(name)
        if not isinstance(layout, Layout):
            raise layout or UnknownTopicOrPartitionError(name)
    return {name: layout for name, layout in found.items() if isinstance(layout, Layout)}


async def allowed_on_topics(client: Any, names: Sequence[str]) -> dict[str, int]:
    """Return the operations that the client's user may do on each topic: one bit per Kafka operation.

    None on a topic that this user may not even see. One that does not exist is left out. Raises KafkaError.
    """
    answer = await client.send(client.get_random_node(), DescribeTopics(names, tells_rights=True))
    seen = {topic[1]: topic[5] for topic in answer.topics if not topic[0]}
    return seen | {topic[1]: 0 for topic in answer.topics if topic[0] == TopicAuthorizationFailedError.errno}


def _layout(topic: Any) -> "Layout | KafkaError":
    code, name, topic_id, _internal, partitions, *_ = topic
    if code:
        error: KafkaError = for_code(code)(name)
        return error
    return Layout(topic_id, len(partitions), min((len(part[4]) for part in partitions), default=0))


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class DescribeTopics(Request[_MetadataRequest]):  # type: ignore[misc]
    """The request for topics by name, with their ids (Metadata, version 12)."""

    API_KEY = 3

    def __init__(self, names: Sequence[str], *, tells_rights: bool = False) -> None:
        self._names = names
        self._tells_rights = tells_rights

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        """Return the request in the only version in use."""
        topics: list[tuple[bytes, str, dict[int, bytes]]] = [(NO_ID, name, {}) for name in self._names]
        return request_struct_class(topics, False, self._tells_rights, {})
