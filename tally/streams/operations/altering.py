"""Sets single entries of a topic's configuration and leaves all others unchanged.

The client's own `alter_configs` is Kafka's old request, which resets every entry that is not named.
"""

from collections.abc import Mapping
from typing import Any

from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

Changes = Mapping[str, Mapping[str, str]]
"""Configuration entries to set, by topic."""
SET = 0


async def alter(client: Any, changes: Changes) -> list[str]:
    """Set configuration entries of topics; return each refusal as one line. Raises KafkaError."""
    answer = await client._send_request(_Alter(changes))
    return [
        f"{name}: {for_code(code).__name__}{f' ({message})' if message else ''}"
        for code, message, _kind, name in answer.responses
        if code
    ]


class _AlterResponse(Response):  # type: ignore[misc]
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _AlterRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _AlterResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("name", String("utf-8")),
                        ("operation", Int8),
                        ("value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _Alter(Request[_AlterRequest]):  # type: ignore[misc]
    """IncrementalAlterConfigs, version 0."""

    API_KEY = 44

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def build(self, request_struct_class: type[_AlterRequest]) -> _AlterRequest:
        resources = [
            (int(ConfigResourceType.TOPIC), topic, [(name, SET, value) for name, value in entries.items()])
            for topic, entries in self._changes.items()
        ]
        return request_struct_class(resources, False)
