"""Checks a worker's rights at the brokers before anything is built on them.

Without this check a missing right shows late or never: a worker that may not join its group waits silently,
and business numbers that it cannot read would have no owners.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct
from msgspec import Struct

from tally.schemas.sources import READERS
from tally.schemas.topics import API_KEYS, CHANGELOGS, COUNTERS, DEAD_LETTERS, DEPLOYMENT, NUMBERS, Names
from tally.streams.operations.topics import admin
from tally.streams.settings import Settings
from tally.tables.kafka.layouts import allowed_on_topics

DEADLINE_SECONDS = 30.0
NOT_SAID = -(1 << 31)
"""The answer of a broker that does not report the allowed operations."""


class Operation(IntEnum):
    """Kafka's operations that a worker needs, by their number in answers."""

    READ = 3
    WRITE = 4

    @property
    def words(self) -> str:
        """The name as Kafka's tools write it."""
        return self.name.title()


class RightsMissing(Exception):
    """The user of this process lacks rights that its roles need; the message names them."""


class Needed(Struct, frozen=True):
    """The rights that roles need, by the full name of a topic or group."""

    topics: Mapping[str, frozenset[Operation]]
    groups: frozenset[str]
    """Groups that need Read, to join them and to commit."""


def needed(roles: Iterable[str], names: Names) -> Needed:
    """Return the rights that roles need at the brokers. Pure.

    `operations.topics` checks Describe and DescribeConfigs when it compares topics with their declaration.
    """
    topics: defaultdict[str, set[Operation]] = defaultdict(set)
    groups: set[str] = set()
    for role in roles:
        if role == "route":
            for topic in (*READERS, NUMBERS):
                topics[names.raw(topic)].add(Operation.READ)
            topics[names.facts].add(Operation.WRITE)
            topics[names.raw(DEAD_LETTERS)].add(Operation.WRITE)
            groups.add(names.group("route"))
        elif role == "fold":
            topics[names.facts].add(Operation.READ)
            for log in CHANGELOGS:
                topics[names.changelog(log)] |= {Operation.READ, Operation.WRITE}
            topics[names.raw(DEAD_LETTERS)].add(Operation.WRITE)
            groups.add(names.group("fold"))
        elif role == "sink":
            for log in CHANGELOGS:
                topics[names.changelog(log)].add(Operation.READ)
            topics[names.raw(DEPLOYMENT)].add(Operation.READ)
            groups.add(names.group("sink"))
        else:
            topics[names.changelog(COUNTERS)].add(Operation.READ)
            for topic in (API_KEYS, NUMBERS):
                topics[names.raw(topic)].add(Operation.READ)
    return Needed({name: frozenset(wanted) for name, wanted in topics.items()}, frozenset(groups))


def lacking(wanted: Needed, on_topics: Mapping[str, int], on_groups: Mapping[str, int]) -> list[str]:
    """Return the missing rights in words; a right that a broker does not report counts as granted. Pure.

    Allowed operations are a bit set, one bit for each operation.
    """
    missing = [
        f"{operation.words} on topic {name}"
        for name, operations in sorted(wanted.topics.items())
        for operation in sorted(operations)
        if not _allows(on_topics.get(name, NOT_SAID), operation)
    ]
    return missing + [
        f"{Operation.READ.words} on group {name}"
        for name in sorted(wanted.groups)
        if not _allows(on_groups.get(name, NOT_SAID), Operation.READ)
    ]


def _allows(bits: int, operation: Operation) -> bool:
    return bits == NOT_SAID or bool(bits >> operation & 1)


async def check(settings: Settings) -> None:
    """Check the rights of this process at the brokers. Raises RightsMissing, KafkaError, TimeoutError."""
    wanted = needed(settings.roles, settings.names)
    async with asyncio.timeout(DEADLINE_SECONDS), admin(settings) as client:
        on_topics = await allowed_on_topics(client._client, sorted(wanted.topics))
        on_groups = {name: await _allowed_on_group(client, name) for name in wanted.groups}
    if missing := lacking(wanted, on_topics, on_groups):
        raise RightsMissing(
            f"{settings.kafka_username or 'this user'} lacks {', '.join(missing)}: grant what is missing"
            " (docs/running.md, Rights)"
        )


async def _allowed_on_group(client: Any, name: str) -> int:
    try:
        answer = await client._send_request(_DescribeGroup(name), await client.find_coordinator(name))
        ((code, *_, allowed),) = answer.groups
        if code:
            raise for_code(code)(name)
    except GroupAuthorizationFailedError:
        return 0
    except KafkaError:  # the group's coordinator is not available yet
        return NOT_SAID
    return int(allowed)


class _GroupRequest(RequestStruct):  # type: ignore[misc]
    """DescribeGroups, version 3; the client's own class reads the response as version 2."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _DescribeGroup(Request[_GroupRequest]):  # type: ignore[misc]
    """Request for the allowed operations on a group."""

    API_KEY = 15

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[_GroupRequest]) -> _GroupRequest:
        return request_struct_class([self._name], True)
