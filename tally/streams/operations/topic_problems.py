"""Differences between a topic and its declaration, and which of them can be altered. Pure."""

from collections.abc import Mapping

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from msgspec import Struct

from tally.schemas.topics import Topic
from tally.tables.kafka.layouts import Layout

MIN_INSYNC = 2
CHOSEN = frozenset({"retention.ms", "retention.bytes", "segment.ms", "min.cleanable.dirty.ratio"})
"""Entries that operators may choose: they affect disk or time, never the numbers."""
AT_LEAST = frozenset(
    {"max.message.bytes", "min.insync.replicas", "delete.retention.ms", "min.compaction.lag.ms"}
)


class Wanted(Struct, frozen=True):
    """The values that topics are compared with, besides their own declaration."""

    replicas: int
    facts_partitions: int

    @property
    def min_insync(self) -> int:
        """How many replicas must hold a record before it is acknowledged."""
        return MIN_INSYNC if self.replicas > MIN_INSYNC else 1


class Found(Struct, frozen=True):
    """One topic as the brokers have it; `config` is None if it may not be read."""

    layout: Layout | KafkaError
    config: Mapping[str, str] | None


class Problems(Struct, frozen=True):
    """The problems of one topic."""

    config: dict[str, str]
    """Entries that can be altered, with the values that they must have."""
    said: tuple[str, ...]
    """All problems, in words."""


def problems_of(topic: Topic, found: Found, wanted: Wanted) -> Problems:
    """Compare a topic with its declaration. The number of replicas in sync is not considered."""
    if not isinstance(found.layout, Layout):
        return Problems({}, (_absent(found.layout),))
    said = _shape(topic, found.layout, wanted)
    if found.config is None:
        return Problems({}, (*said, "its configuration may not be read: grant DescribeConfigs"))
    must = {
        name: value
        for name, value in topic.config(wanted.min_insync).items()
        if not _is_fit(name, found.config.get(name), value)
    }
    said += [
        f"{name} is {found.config.get(name)}, must be {'at least ' * (name in AT_LEAST)}{value}"
        for name, value in must.items()
    ]
    return Problems(must, tuple(said))


def is_missing(found: Found) -> bool:
    """Return whether the brokers do not know the topic."""
    return isinstance(found.layout, UnknownTopicOrPartitionError)


def _absent(error: KafkaError) -> str:
    if isinstance(error, UnknownTopicOrPartitionError):
        return "missing"
    if isinstance(error, TopicAuthorizationFailedError):
        return "missing, or no right to see it: grant Describe"
    return f"cannot be described: {type(error).__name__}"


def _shape(topic: Topic, layout: Layout, wanted: Wanted) -> list[str]:
    said = []
    if topic.as_facts and layout.partitions != wanted.facts_partitions:
        said.append(f"has {layout.partitions} partitions, the facts log has {wanted.facts_partitions}")
    if layout.replicas < wanted.replicas:
        said.append(
            f"has {layout.replicas} replicas, must have {wanted.replicas}: reassign its partitions, or set"
            " TALLY_REPLICATION_FACTOR"
        )
    return said


def _is_fit(name: str, value: str | None, must: str) -> bool:
    if name in CHOSEN:
        return True
    if name in AT_LEAST and value is not None:
        return int(value) >= int(must)
    return value == must
