"""The topic registry: names, partitions, retention and record limits of every topic."""

from typing import Final, Literal

from msgspec import Struct

from tally.schemas.bounds import KIB, MIB, RECORD
from tally.schemas.sources import COMPACTED, RAW_TOPICS

DEAD_LETTERS = "dead-letters"
DEPLOYMENT = "deployment"
"""Holds the id that the database has too (`tally/streams/operations/deployment.py`); of all generations."""
NUMBERS = "numbers"
"""By phone_number_id whose a business number is; kept for ever, and most deployments have none."""
API_KEYS = "api-keys"
"""By id the keys of the HTTP interfaces, without their secrets; of all generations."""
STATES: Final = "states"
"""The changelog of every table but the rows; its keys begin with the table's byte (`schemas/tables.py`)."""
COUNTERS: Final = "counters"
"""The changelog of the rows, which the view reads, and of what is missing from them."""
Changelog = Literal["states", "counters"]
CHANGELOGS: tuple[Changelog, ...] = (STATES, COUNTERS)
"""The two logs of a batch's transaction; in each of them progress is its last record."""
REPORTS = "reports"
"""By process what audits and gateways say of themselves once a minute (`schemas/reports.py`)."""

DAY_MS = 86_400_000
RAW_LIMIT_BYTES = RECORD.most + 64 * KIB
"""A raw event of the most bytes, with its key, its headers and what Kafka adds."""
RAW_RETENTION_MS = 7 * DAY_MS
FACT_LIMIT_BYTES = MIB
DEAD_LETTER_LIMIT_BYTES = 5 * MIB
DEAD_LETTERS_BYTES = 1 << 30
"""Of one partition: dead letters are kept longer than raw events, and garbage must not fill disks."""
DELETE_RETENTION_MS = 7 * DAY_MS
"""How long a changelog keeps tombstones; a local store that slept half as long is rebuilt."""


class Topic(Struct, frozen=True):
    """One topic as it is to be declared; `retention_ms` is None for a compacted one."""

    name: str
    partitions: int
    limit_bytes: int
    retention_ms: int | None
    as_facts: bool = False
    """Whether it must have as many partitions as the facts log: each is written with one of that log."""
    retention_bytes: int | None = None
    """Of one partition; None where only time decides."""
    compaction_lag_ms: int = 0
    """How old a record of a compacted topic is at least before compaction may remove it."""

    def config(self, min_insync: int) -> dict[str, str]:
        """Return the topic's configuration in Kafka's own names.

        Times are the brokers'. With producers' times a producer's clock would decide when its records are
        deleted, and how old they seem.
        """
        config = {
            "max.message.bytes": str(self.limit_bytes),
            "min.insync.replicas": str(min_insync),
            "message.timestamp.type": "LogAppendTime",
            # Else a broker that had missed records could lead, and what was acknowledged would be gone.
            "unclean.leader.election.enable": "false",
        }
        if self.retention_ms is None:
            return config | {
                "cleanup.policy": "compact",
                "delete.retention.ms": str(DELETE_RETENTION_MS),
                "min.compaction.lag.ms": str(self.compaction_lag_ms),
                "segment.ms": str(DAY_MS),
                "min.cleanable.dirty.ratio": "0.3",
            }
        config |= {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}
        return (
            config
            if self.retention_bytes is None
            else config | {"retention.bytes": str(self.retention_bytes)}
        )


class Names(Struct, frozen=True):
    """Topic and group names of one deployment: a common prefix and the generation."""

    prefix: str
    generation: int

    def raw(self, topic: str) -> str:
        """Return the full name of a raw topic or of `dead-letters`."""
        return f"{self.prefix}{topic}"

    @property
    def facts(self) -> str:
        """The facts log of this generation."""
        return f"{self.prefix}facts-g{self.generation}"

    @property
    def app(self) -> str:
        """The name that consumer groups and transactional ids begin with."""
        return f"{self.prefix}tally-g{self.generation}"

    def changelog(self, changelog: Changelog) -> str:
        """Return the topic of a changelog."""
        return f"{self.app}-{changelog}"

    def group(self, role: Literal["route", "fold", "sink"]) -> str:
        """Return the consumer group of a role."""
        return f"{self.app}-{role}"


def _raw(name: str, partitions: int, is_compacted: bool) -> Topic:
    """Return a raw topic; of a compacted one everything is there for as long as the others keep anything.

    So a new generation counts the same from it, and after that the last record of each key.
    """
    if is_compacted:
        return Topic(name, partitions, RAW_LIMIT_BYTES, None, compaction_lag_ms=RAW_RETENTION_MS)
    return Topic(name, partitions, RAW_LIMIT_BYTES, RAW_RETENTION_MS)


def declared(names: Names, partitions: int, compaction_lag_ms: int) -> list[Topic]:
    """Return every topic of a deployment; `partitions` is that of raw topics, facts and changelogs.

    What is younger than `compaction_lag_ms` is read whole: each transaction of a changelog, and its end.
    """
    raw = [_raw(names.raw(topic), partitions, topic in COMPACTED) for topic in RAW_TOPICS]
    facts = Topic(names.facts, partitions, FACT_LIMIT_BYTES, 14 * DAY_MS)
    changelogs = [
        Topic(
            names.changelog(changelog),
            partitions,
            FACT_LIMIT_BYTES,
            None,
            as_facts=True,
            compaction_lag_ms=compaction_lag_ms,
        )
        for changelog in CHANGELOGS
    ]
    dead = Topic(
        names.raw(DEAD_LETTERS), 4, DEAD_LETTER_LIMIT_BYTES, 30 * DAY_MS, retention_bytes=DEAD_LETTERS_BYTES
    )
    deployment = Topic(names.raw(DEPLOYMENT), 1, FACT_LIMIT_BYTES, None)
    numbers = Topic(names.raw(NUMBERS), 1, 64 * KIB, None)
    api_keys = Topic(names.raw(API_KEYS), 1, 64 * KIB, None)
    reports = Topic(names.raw(REPORTS), 1, 64 * KIB, None)
    return [*raw, facts, *changelogs, dead, deployment, numbers, api_keys, reports]
