"""A topic is unfit in what numbers depend on, never in what only costs disk or time."""

import pytest
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from tally.schemas.topics import CHANGELOGS, Names, Topic, declared
from tally.streams.operations.topic_problems import Found, Wanted, problems_of
from tally.tables.kafka.layouts import Layout

LAG_MS = 7_200_000
TOPICS = declared(Names("", 1), 8, LAG_MS)
BY_NAME = {topic.name: topic for topic in TOPICS}
RAW, FACTS = BY_NAME["webhook-events"], BY_NAME["facts-g1"]
CHANGELOG = BY_NAME[Names("", 1).changelog(CHANGELOGS[0])]
WANTED = Wanted(replicas=3, facts_partitions=8)
FIT = Layout(b"id", 8, 3)


def said(topic: Topic, layout: Layout | KafkaError = FIT, **config: str) -> tuple[str, ...]:
    given = {name.replace("_", "."): value for name, value in config.items()}
    return problems_of(topic, Found(layout, topic.config(2) | given), WANTED).said


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_as_it_is_declared_is_fit_and_has_the_time_of_the_brokers(topic: Topic) -> None:
    assert said(topic) == ()
    assert topic.config(2)["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message.timestamp.type", "CreateTime"),
        ("cleanup.policy", "compact,delete"),
        ("unclean.leader.election.enable", "true"),
        ("min.insync.replicas", "1"),
        ("max.message.bytes", "1000"),
    ],
)
def test_what_a_number_depends_on_must_be_as_declared_and_can_be_set_right(
    topic: Topic, name: str, value: str
) -> None:
    must = topic.config(2)[name]
    found = problems_of(topic, Found(FIT, topic.config(2) | {name: value}), WANTED)

    assert found.said in {(f"{name} is {value}, must be {more}{must}",) for more in ("", "at least ")}
    assert found.config == {name: must}


def test_tombstones_may_be_kept_for_longer_and_not_for_shorter() -> None:
    assert said(CHANGELOG, delete_retention_ms=str(8 * 86_400_000)) == ()
    assert said(CHANGELOG, delete_retention_ms="86400000") != ()


def test_a_changelog_is_compacted_no_earlier_than_declared_and_may_be_later() -> None:
    changelogs = [topic for topic in TOPICS if topic.as_facts]
    assert len(changelogs) == len(CHANGELOGS)
    for topic in changelogs:
        assert said(topic, min_compaction_lag_ms=str(2 * LAG_MS)) == ()
        for less in ("0", str(LAG_MS - 1)):
            assert said(topic, min_compaction_lag_ms=less) == (
                f"min.compaction.lag.ms is {less}, must be at least {LAG_MS}",
            )


def test_retention_and_segments_are_the_operators_to_choose() -> None:
    assert said(RAW, retention_ms="3600000", segment_ms="60000") == ()


def test_a_changelog_has_the_partitions_of_the_facts_log_and_a_raw_topic_as_many_as_it_likes() -> None:
    wide = Layout(b"id", 16, 3)
    assert said(CHANGELOG, wide) == ("has 16 partitions, the facts log has 8",)
    assert said(RAW, wide) == ()


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_fewer_replicas_than_the_setting_says_cannot_be_set_right_here(topic: Topic) -> None:
    found = problems_of(topic, Found(Layout(b"id", topic.partitions, 1), topic.config(2)), WANTED)
    assert found.config == {}
    assert found.said == (
        "has 1 replicas, must have 3: reassign its partitions, or set TALLY_REPLICATION_FACTOR",
    )


def test_a_missing_right_is_not_a_missing_topic() -> None:
    assert said(FACTS, UnknownTopicOrPartitionError()) == ("missing",)
    assert said(FACTS, TopicAuthorizationFailedError()) == ("missing, or no right to see it: grant Describe",)
    unread = problems_of(FACTS, Found(FIT, None), WANTED)
    assert unread.said == ("its configuration may not be read: grant DescribeConfigs",)
