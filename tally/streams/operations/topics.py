"""Declares topics, and compares the brokers' topics with what Tally needs."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from msgspec import Struct, structs

from tally.schemas.topics import Topic, declared
from tally.streams.operations.altering import alter
from tally.streams.operations.topic_problems import Found, Problems, Wanted, is_missing, problems_of
from tally.streams.settings import Settings
from tally.tables.kafka.layouts import Layout, layouts

DEADLINE_SECONDS = 60.0
SEEN_SECONDS = 15.0
"""How long all brokers may take to learn of a topic that one of them has just created."""
ALTER = "run `tally topics declare --alter`, which sets configurations; nothing else can be set right by it"


class TopicsError(Exception):
    """Topics are missing or unfit, or could not be declared; the message says which and why."""


class TopicState(Struct, frozen=True):
    """One topic as declared and as found; `partitions` is None if it cannot be seen."""

    topic: Topic
    partitions: int | None
    unfit: Problems

    @property
    def problems(self) -> tuple[str, ...]:
        """All problems of the topic, in words."""
        return self.unfit.said


class Declared(Struct, frozen=True):
    """The changes made by declaring, and the partition count of the facts log."""

    created: list[str]
    altered: list[str]
    facts_partitions: int


def wanted(settings: Settings) -> list[Topic]:
    """Return every topic of this deployment."""
    return declared(settings.names, settings.partitions, settings.compaction_lag_seconds * 1_000)


async def declare(settings: Settings, *, mend: bool = False, only: Collection[str] | None = None) -> Declared:
    """Create missing topics, and with `mend` alter unfit configurations.

    `only` names the topics to consider; None means all. Raises TopicsError, with names and reasons, if one is
    still unfit: sooner or later numbers would be lost or doubled on it.
    """
    async with asyncio.timeout(DEADLINE_SECONDS), admin(settings) as client:
        topics = [topic for topic in wanted(settings) if only is None or topic.name in only]
        found = await _found(client, topics)
        # Who declares topics of another kind need not see the facts log.
        is_asked = any(topic.as_facts or topic.name == settings.names.facts for topic in topics)
        facts = await _facts_partitions(client, settings) if is_asked else settings.partitions
        missing = [topic for topic in topics if is_missing(found[topic.name])]
        if missing:
            await _create(client, [_as_facts(topic, facts) for topic in missing], settings)
            found = await _found_once_seen(client, topics)
        by = Wanted(settings.replication_factor, facts)
        states = _compared(topics, found, by)
        altered = await _mend(client, states) if mend else []
        # A broker confirms an alteration shortly before it reports the new value.
        ends_at = asyncio.get_running_loop().time() + SEEN_SECONDS
        while altered and _can_mend(states) and asyncio.get_running_loop().time() < ends_at:
            await asyncio.sleep(0.1)
            states = _compared(topics, await _found(client, topics), by)
        refuse(states)
        return Declared([topic.name for topic in missing], altered, facts)


def refuse(states: Sequence[TopicState]) -> None:
    """Raise TopicsError if a topic is unfit."""
    wrong = [f"{state.topic.name}: {', '.join(state.problems)}" for state in states if state.problems]
    if wrong:
        raise TopicsError(f"topics are not as they must be: {'; '.join(wrong)} ({ALTER})")


async def states(settings: Settings) -> list[TopicState]:
    """Return every topic as declared and as the brokers have it."""
    async with asyncio.timeout(DEADLINE_SECONDS), admin(settings) as client:
        topics = wanted(settings)
        facts = await _facts_partitions(client, settings)
        found = await _found(client, topics)
        return _compared(topics, found, Wanted(settings.replication_factor, facts))


def _as_facts(topic: Topic, facts_partitions: int) -> Topic:
    return structs.replace(topic, partitions=facts_partitions) if topic.as_facts else topic


def _compared(topics: Sequence[Topic], found: dict[str, Found], by: Wanted) -> list[TopicState]:
    return [
        TopicState(topic, _partitions(found[topic.name]), problems_of(topic, found[topic.name], by))
        for topic in topics
    ]


def _partitions(found: Found) -> int | None:
    return found.layout.partitions if isinstance(found.layout, Layout) else None


async def _facts_partitions(client: Any, settings: Settings) -> int:
    """Return how many partitions the facts log has, or will have."""
    name = settings.names.facts
    layout = (await layouts(client._client, [name])).get(name)
    return layout.partitions if isinstance(layout, Layout) else settings.partitions


async def _create(client: Any, topics: list[Topic], settings: Settings) -> None:
    min_insync = Wanted(settings.replication_factor, settings.partitions).min_insync
    answer = await client.create_topics(
        [
            NewTopic(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=settings.replication_factor,
                topic_configs=topic.config(min_insync),
            )
            for topic in topics
        ]
    )
    failed = [
        f"{name}: {for_code(code).__name__}{f' ({message})' if message else ''}"
        for name, code, message, *_ in answer.topic_errors
        # Another worker that starts at the same moment may have created it first.
        if code and for_code(code) is not TopicAlreadyExistsError
    ]
    if any(for_code(code) is TopicAuthorizationFailedError for _, code, *_ in answer.topic_errors):
        raise TopicsError(
            f"could not declare {'; '.join(failed)}: grant Create, or have them declared before"
        )
    if failed:
        raise TopicsError(
            f"could not declare {'; '.join(failed)}: topics get {settings.replication_factor} replicas"
            " (TALLY_REPLICATION_FACTOR), so that so many brokers have to be up"
        )


async def _found_once_seen(client: Any, topics: Sequence[Topic]) -> dict[str, Found]:
    """Return topics of which some were just created, once every broker that is asked knows them."""
    async with asyncio.timeout(SEEN_SECONDS):
        while True:
            found = await _found(client, topics)
            if not any(is_missing(one) for one in found.values()):
                return found
            await asyncio.sleep(0.1)


def _can_mend(states: Sequence[TopicState]) -> dict[str, dict[str, str]]:
    return {state.topic.name: state.unfit.config for state in states if state.unfit.config}


async def _mend(client: Any, states: Sequence[TopicState]) -> list[str]:
    changes = _can_mend(states)
    if not changes:
        return []
    if refused := await alter(client, changes):
        raise TopicsError(f"could not alter {'; '.join(refused)}")
    return sorted(changes)


async def _found(client: Any, topics: Sequence[Topic]) -> dict[str, Found]:
    names = [topic.name for topic in topics]
    found = await layouts(client._client, names)
    configs = await _configs(client, [name for name in names if isinstance(found.get(name), Layout)])
    unseen = {name: UnknownTopicOrPartitionError(name) for name, config in configs.items() if config is None}
    layouts_seen = {**found, **unseen}
    return {
        name: Found(layouts_seen.get(name) or UnknownTopicOrPartitionError(name), configs.get(name))
        for name in names
    }


async def _configs(client: Any, names: list[str]) -> dict[str, dict[str, str] | None]:
    """Return configurations by topic, without those that may not be read.

    None means that the asked broker does not know the topic yet, because another broker has just created it.
    """
    configs: dict[str, dict[str, str] | None] = {}
    if not names:
        return configs
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    for answer in await client.describe_configs(resources):
        for code, _message, _kind, name, entries in answer.resources:
            error = for_code(code)
            if not code:
                configs[name] = {entry[0]: entry[1] for entry in entries}
            elif issubclass(error, UnknownTopicOrPartitionError):
                configs[name] = None
            elif not issubclass(error, TopicAuthorizationFailedError):
                raise error(name)
    return configs


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[Any]:
    """Yield an admin client and close it at the end."""
    client = settings.kafka.admin(request_timeout_ms=30_000)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
