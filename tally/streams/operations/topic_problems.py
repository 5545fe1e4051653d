"""What is unfit about a topic, and what of it can be set right. Pure."""

from collections.abc import Mapping

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from msgspec import Struct

from tally.schemas.topics import Topic
from tally.tables.kafka.layouts import Layout

MIN_INSYNC = 2
CHOSEN = frozenset({"retention.ms", "retention.bytes", "segment.ms", "min.cleanable.dirty.ratio"})
"""What may be chosen: it costs disk or time, and no number depends on it."""
AT_LEAST = frozenset({"max.message.bytes", "min.insync.replicas", "delete.retention.ms"})


class Wanted(Struct, frozen=True):
    """What topics are compared with, beside their own declaration."""

    replicas: int
    facts_partitions: int

    @property
    def min_insync(self) -> int:
        """How many replicas have to have a record before it is acknowledged."""
        return MIN_INSYNC if self.replicas > MIN_INSYNC else 1


class Found(Struct, frozen=True):
    """One topic as the brokers have it; `config` is None where it may not be read."""

    layout: Layout | KafkaError
    config: Mapping[str, str] | None


class Problems(Struct, frozen=True):
    """What is unfit about a topic."""

    config: dict[str, str]
    """Entries that can be set right, with the values that they must have."""
    said: tuple[str, ...]
    """Everything, in words."""


def problems_of(topic: Topic, found: Found, wanted: Wanted) -> Problems:
    """Compare a topic with its declaration. How many replicas are in sync is no problem of it."""
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
    said += [f"{name} is {found.config.get(name)}, must be {value}" for name, value in must.items()]
    return Problems(must, tuple(said))


def is_missing(found: Found) -> bool:
    """Return whether the brokers know no such topic."""
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
