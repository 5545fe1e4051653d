"""Topics on a real broker: declared as numbers need them, refused if unfit, altered on demand."""

import asyncio

import pytest
from aiokafka.admin import NewPartitions, NewTopic

from tally.schemas.sources import RAW_TOPICS
from tally.schemas.topics import CHANGELOGS, DEAD_LETTERS, Changelog
from tally.streams.operations import doctor, topics
from tally.streams.operations.altering import alter
from tally.streams.settings import Settings

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]


async def test_declared_topics_are_fit_and_declaring_again_changes_nothing(settings: Settings) -> None:
    first = await topics.declare(settings)
    states = await topics.states(settings)

    assert {state.topic.name for state in states} == set(first.created)
    assert [state.problems for state in states if state.problems] == []
    assert await topics.declare(settings, mend=True) == topics.Declared([], [], settings.partitions)


async def test_raw_topics_of_others_times_are_refused_until_they_are_altered(settings: Settings) -> None:
    raw = settings.names.raw(RAW_TOPICS[0])
    async with topics.admin(settings) as admin:
        await admin.create_topics([NewTopic(raw, 3, 1, topic_configs={"retention.ms": "12345678"})])
    with pytest.raises(topics.TopicsError, match=r"message.timestamp.type is CreateTime, must be LogAppend"):
        await topics.declare(settings)
    done = await topics.declare(settings, mend=True)

    assert done.altered == [raw]
    assert await topics.declare(settings) == topics.Declared([], [], settings.partitions)
    async with topics.admin(settings) as admin:
        config = (await topics._configs(admin, [raw]))[raw]
    assert config is not None
    assert config["retention.ms"] == "12345678"


@pytest.mark.parametrize("changelog", CHANGELOGS)
@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("cleanup.policy", "delete", "must be compact"),
        ("message.timestamp.type", "CreateTime", "must be LogAppendTime"),
        ("min.compaction.lag.ms", "0", "must be at least 7200000"),
    ],
)
async def test_a_changelog_that_does_not_keep_what_it_must_is_refused(
    settings: Settings, changelog: Changelog, name: str, value: str, must: str
) -> None:
    await topics.declare(settings)
    topic = settings.names.changelog(changelog)
    async with topics.admin(settings) as admin:
        assert await alter(admin, {topic: {name: value}}) == []
    await _until_unfit(settings)

    with pytest.raises(topics.TopicsError, match=f"{topic}: {name} is {value}, {must} "):
        await topics.declare(settings)
    with pytest.raises(topics.TopicsError, match=f"{topic}: {name} is {value}, {must} "):
        await doctor._topics(settings)


async def test_a_longer_compaction_lag_is_declared_anew(settings: Settings) -> None:
    await topics.declare(settings)
    longer = settings.model_copy(update={"compaction_lag_seconds": 14_400})
    with pytest.raises(topics.TopicsError, match=r"lag\.ms is 7200000, must be at least 14400000"):
        await topics.declare(longer)
    done = await topics.declare(longer, mend=True)

    assert done.altered == sorted(settings.names.changelog(log) for log in CHANGELOGS)
    assert await topics.declare(settings) == topics.Declared([], [], settings.partitions)


async def test_more_partitions_of_the_facts_log_are_refused_and_not_mended(
    settings: Settings,
) -> None:
    await topics.declare(settings)
    async with topics.admin(settings) as admin:
        await admin.create_partitions({settings.names.facts: NewPartitions(2)})
    await _until_unfit(settings)

    with pytest.raises(topics.TopicsError, match="has 1 partitions, the facts log has 2"):
        await topics.declare(settings, mend=True)


async def test_topics_with_too_few_replicas_are_refused(settings: Settings) -> None:
    await topics.declare(settings)
    three = settings.model_copy(update={"replication_factor": 3})

    with pytest.raises(topics.TopicsError, match="has 1 replicas, must have 3"):
        await topics.declare(three)


async def test_topics_are_not_declared_with_fewer_replicas_than_wanted(settings: Settings) -> None:
    three = settings.model_copy(update={"replication_factor": 3})

    with pytest.raises(topics.TopicsError, match=r"InvalidReplicationFactorError.*TALLY_REPLICATION_FACTOR"):
        await topics.declare(three)


async def test_one_topic_is_declared_alone(settings: Settings) -> None:
    name = settings.names.raw(DEAD_LETTERS)
    assert await topics.declare(settings, only={name}) == topics.Declared([name], [], settings.partitions)


async def _until_unfit(settings: Settings) -> None:
    """Wait until the broker, which has taken a change, tells of it. Raises TimeoutError."""
    async with asyncio.timeout(20):
        while not any(state.problems for state in await topics.states(settings)):
            await asyncio.sleep(0.05)
