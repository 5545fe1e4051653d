"""Checks the rights of a process at the brokers before anything is built on them.

Without this check a missing right shows late or never: a worker that may not join its group waits silently,
and business numbers that it cannot read would have no owners.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct

from tally.streams.operations import topics, unreached
from tally.streams.operations.rights_needed import IMPLIED, Operation, Right, rights_of
from tally.streams.runtime.exit import RIGHTS, Unavailable
from tally.streams.settings import Settings
from tally.tables.kafka.layouts import allowed_on_topics

DEADLINE_SECONDS = 30.0
NOT_SAID = -(1 << 31)
"""The answer of a broker that does not report the allowed operations."""
SHOWING = (Operation.DESCRIBE, *IMPLIED[Operation.DESCRIBE])
"""Whoever may do one of these sees a topic."""


class RightsMissing(Unavailable):
    """The user of this process lacks rights that it needs; the message names them."""


def lacking(
    wanted: Iterable[Right], on_topics: Mapping[str, int], on_groups: Mapping[str, int]
) -> list[Right]:
    """Return the missing rights; one that a broker does not report counts as granted. Pure.

    Allowed operations are a bit set, one bit for each operation. Of transactional ids brokers report nothing,
    and of a topic that this user may not see only that: then what would let it see the topic is missing.
    """
    allowed = {"topic": on_topics, "group": on_groups}
    return [
        one
        for one in wanted
        if one.kind in allowed and not _allows(allowed[one.kind].get(one.name, NOT_SAID), one.operation)
    ]


def _allows(bits: int, operation: Operation) -> bool:
    if bits == NOT_SAID:
        return True
    return operation not in SHOWING if bits == 0 else bool(bits >> operation & 1)


async def missing(settings: Settings, who: Iterable[str]) -> list[Right]:
    """Return the rights that roles or commands need and this user lacks. Raises KafkaError, TimeoutError."""
    wanted = rights_of(who, settings.names)
    on = sorted({one.name for one in wanted if one.kind == "topic"})
    groups = {one.name for one in wanted if one.kind == "group"}
    async with asyncio.timeout(DEADLINE_SECONDS), topics.admin(settings) as client:
        on_topics = await allowed_on_topics(client._client, on)
        on_groups = {name: await _allowed_on_group(client, name) for name in groups}
    return lacking(wanted, on_topics, on_groups)


async def explained(settings: Settings, who: str | None, error: Exception) -> Exception:
    """Return an error of the brokers as one that says all: why they let nobody in, or which right is missing.

    `who` is the role or command that it stopped. Any other error is returned as it is.
    """
    if isinstance(error, KafkaConnectionError):
        return await unreached.explained(settings)
    if who is None or not isinstance(error, (*RIGHTS, topics.TopicsError)):
        return error
    try:
        found = await missing(settings, [who])
    except (KafkaError, TimeoutError):
        return error
    return RightsMissing(in_words(settings, found)) if found else error


async def check(settings: Settings, who: Iterable[str]) -> None:
    """Check the rights of this process at the brokers. Raises RightsMissing, KafkaError, TimeoutError."""
    if found := await missing(settings, who):
        raise RightsMissing(in_words(settings, found))


def in_words(settings: Settings, found: Iterable[Right]) -> str:
    """Return what is missing, and whose it is, in one line. Pure."""
    user = settings.kafka_username or "this user"
    return f"{user} lacks {', '.join(map(str, found))}: grant what is missing (docs/running.md, Rights)"


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
