"""Declaring topics, and comparing what the brokers have with what Tally needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code
from msgspec import Struct

from tally.schemas.topics import Topic, declared
from tally.streams.settings import Settings
from tally.tables.families.registry import TABLES

DEADLINE_SECONDS = 60.0
REPLICAS = 3
MIN_INSYNC = 2


class TopicsError(Exception):
    """Topics are missing or unfit, or could not be declared; the message says which and why."""


class TopicState(Struct, frozen=True):
    """One topic as it should be and as it is; `partitions` None where it is missing."""

    topic: Topic
    partitions: int | None
    problems: tuple[str, ...]


def wanted(settings: Settings) -> list[Topic]:
    """Return every topic of this deployment."""
    return declared(settings.names, TABLES, settings.partitions)


def problems_of(topic: Topic, config: dict[str, str], partitions: int, facts_partitions: int) -> list[str]:
    """Return what is unfit about an existing topic. Pure.

    Retention is the operator's to choose; what exactness rests on is not.
    """
    found = []
    policy = "compact" if topic.retention_ms is None else "delete"
    if config.get("cleanup.policy") != policy:
        found.append(f"cleanup.policy is {config.get('cleanup.policy')}, must be {policy}")
    if int(config.get("max.message.bytes", 0)) < topic.limit_bytes:
        found.append(f"max.message.bytes is {config.get('max.message.bytes')}, must be {topic.limit_bytes}")
    if topic.retention_ms is None and partitions != facts_partitions:
        found.append(f"has {partitions} partitions, the facts log has {facts_partitions}")
    return found


async def declare(settings: Settings) -> list[str]:
    """Create the topics that are missing; return their names. Raises TopicsError."""
    async with asyncio.timeout(DEADLINE_SECONDS), admin(settings) as client:
        brokers = len((await client.describe_cluster())["brokers"])
        replicas = settings.replication_factor or min(REPLICAS, brokers)
        existing = set(await client.list_topics())
        missing = [topic for topic in wanted(settings) if topic.name not in existing]
        if missing:
            await _create(client, missing, replicas)
        return [topic.name for topic in missing]


async def _create(client: Any, topics: list[Topic], replicas: int) -> None:
    min_insync = MIN_INSYNC if replicas > MIN_INSYNC else 1
    answer = await client.create_topics(
        [
            NewTopic(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=replicas,
                topic_configs=topic.config(min_insync),
            )
            for topic in topics
        ]
    )
    failed = [
        f"{name}: {for_code(code).__name__}"
        for name, code, *_ in answer.topic_errors
        # Another worker that starts at the same moment may have been first.
        if code and for_code(code) is not TopicAlreadyExistsError
    ]
    if failed:
        raise TopicsError("could not declare " + "; ".join(failed))


async def states(settings: Settings) -> list[TopicState]:
    """Compare the brokers' topics with what is needed."""
    async with asyncio.timeout(DEADLINE_SECONDS), admin(settings) as client:
        topics = wanted(settings)
        existing = set(await client.list_topics())
        present = [topic.name for topic in topics if topic.name in existing]
        counts = (
            {found["topic"]: len(found["partitions"]) for found in await client.describe_topics(present)}
            if present
            else {}
        )
        configs = await _configs(client, present)
    facts_partitions = counts.get(settings.names.facts, settings.partitions)
    return [
        TopicState(
            topic,
            counts.get(topic.name),
            tuple(problems_of(topic, configs[topic.name], counts[topic.name], facts_partitions))
            if topic.name in counts
            else ("missing",),
        )
        for topic in topics
    ]


async def _configs(client: Any, names: list[str]) -> dict[str, dict[str, str]]:
    configs: dict[str, dict[str, str]] = {}
    if not names:
        return configs
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    for answer in await client.describe_configs(resources):
        for _code, _message, _kind, name, entries in answer.resources:
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[Any]:
    """Yield an admin client that is closed whatever happens."""
    client = AIOKafkaAdminClient(**settings.kafka_client(), request_timeout_ms=30_000)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
