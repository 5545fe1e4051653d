"""The rights at the brokers that each process and command needs, with the brokers' ACLs in mind. Pure.

docs/running.md shows them, `tally topics rights` prints them as commands, and processes check theirs at their
start. A fault test runs everything with exactly these, and takes each away once.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Literal

from msgspec import Struct

from tally.schemas.sources import READERS
from tally.schemas.topics import (
    API_KEYS,
    CHANGELOGS,
    COUNTERS,
    DEAD_LETTERS,
    DEPLOYMENT,
    NUMBERS,
    REPORTS,
    Names,
    declared,
)

Kind = Literal["topic", "group", "transactional id"]


class Operation(IntEnum):
    """Kafka's operations that Tally needs, by their number in requests and answers."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11

    @property
    def words(self) -> str:
        """The name as Kafka's tools write it."""
        return self.name.title().replace("_", "")


IMPLIED: Mapping[Operation, tuple[Operation, ...]] = {
    Operation.DESCRIBE: (Operation.READ, Operation.WRITE),
    Operation.DESCRIBE_CONFIGS: (Operation.ALTER_CONFIGS,),
}
"""Operations that who may do any of the others may do too (Kafka's `StandardAuthorizer`)."""


class Right(Struct, frozen=True, order=True):
    """One right: an operation on one topic or group, or on all transactional ids that begin with a name."""

    kind: Kind
    name: str
    operation: Operation

    def __str__(self) -> str:
        return f"{self.operation.words} on {self.kind} {self.name}"

    @property
    def is_prefix(self) -> bool:
        """Whether `name` is what names begin with: a partition is the end of its transactional id."""
        return self.kind == "transactional id"


Rights = frozenset[Right]


def rights_of(who: Iterable[str], names: Names) -> list[Right]:
    """Return what some processes or commands need, in order, without what is implied. Pure."""
    found: Rights = frozenset().union(*(PROCESSES[one](names) for one in who))
    return sorted(
        one
        for one in found
        if not any(
            Right(one.kind, one.name, stronger) in found for stronger in IMPLIED.get(one.operation, ())
        )
    )


def kafka_acls(rights: Iterable[Right], bootstrap: str, principal: str) -> list[str]:
    """Return the calls of Kafka's `kafka-acls` that give a user these rights. Pure."""
    operations: dict[tuple[Kind, str], list[Operation]] = {}
    for one in rights:
        operations.setdefault((one.kind, one.name), []).append(one.operation)
    return [
        f"kafka-acls --bootstrap-server {bootstrap} --add --allow-principal {shlex.quote(principal)}"
        f" --{kind.replace(' ', '-')} {name}"
        + " --resource-pattern-type prefixed" * Right(kind, name, wanted[0]).is_prefix
        + "".join(f" --operation {operation.words}" for operation in wanted)
        for (kind, name), wanted in operations.items()
    ]


def command_of(path: str, options: Iterable[str]) -> str | None:
    """Return the process or command that a call of the command line is; None for one without Kafka. Pure.

    `path` is as `dead-letters list`, `options` are those that were given; the most exact name holds.
    """
    given = {f"--{option}" for option in options}
    fits = [
        name
        for name in PROCESSES
        if path.startswith(name.partition(" --")[0]) and given.issuperset(name.split(" ")[_words(name) :])
    ]
    return max(fits, key=len, default=None)


def _words(name: str) -> int:
    return len(name.partition(" --")[0].split(" "))


def _topics(operation: Operation, *names: str) -> Rights:
    return frozenset(Right("topic", name, operation) for name in names)


def _all_topics(names: Names) -> list[str]:
    return [topic.name for topic in declared(names, 1, 1)]


def _compared(names: Names, *topics: str) -> Rights:
    """Rights with which topics are compared with their declaration, all of them where none is named."""
    whole = [*map(names.raw, topics)] or _all_topics(names)
    return _topics(Operation.DESCRIBE, *whole) | _topics(Operation.DESCRIBE_CONFIGS, *whole)


def _raw(names: Names) -> list[str]:
    return [names.raw(topic) for topic in READERS]


def _logs(names: Names) -> list[str]:
    return [names.changelog(log) for log in CHANGELOGS]


def _group(operation: Operation, name: str) -> Rights:
    return frozenset({Right("group", name, operation)})


def _route(names: Names) -> Rights:
    return (
        _compared(names)
        | _topics(Operation.READ, *_raw(names), names.raw(NUMBERS))
        # How far facts were counted, and by which logs: a facts log that was replaced ends it.
        | _topics(Operation.READ, names.changelog(COUNTERS))
        | _topics(Operation.WRITE, names.facts, names.raw(DEAD_LETTERS))
        | _group(Operation.READ, names.group("route"))
    )


def _fold(names: Names) -> Rights:
    return (
        _compared(names)
        | _topics(Operation.READ, names.facts, *_logs(names))
        | _topics(Operation.WRITE, *_logs(names), names.raw(DEAD_LETTERS))
        | _group(Operation.READ, names.group("fold"))
        | {Right("transactional id", f"{names.app}/", Operation.WRITE)}
    )


def _sink(names: Names) -> Rights:
    return (
        _compared(names)
        | _topics(Operation.READ, *_logs(names), names.raw(DEPLOYMENT))
        # The first sink of a deployment draws its id.
        | _topics(Operation.WRITE, names.raw(DEPLOYMENT))
        | _group(Operation.READ, names.group("sink"))
    )


def _view(names: Names) -> Rights:
    return (
        _compared(names)
        | _topics(Operation.READ, names.changelog(COUNTERS))
        | _topics(Operation.READ, *map(names.raw, (API_KEYS, NUMBERS, REPORTS)))
        # Lag is how far the offsets that route has committed are behind the ends.
        | _group(Operation.DESCRIBE, names.group("route"))
    )


def _gateway(names: Names) -> Rights:
    posted = ("webhook-events", "send-results", "campaigns")
    return (
        _compared(names, *posted, API_KEYS, NUMBERS, REPORTS)
        | _topics(Operation.WRITE, *map(names.raw, (*posted, REPORTS)))
        | _topics(Operation.READ, names.raw(API_KEYS), names.raw(NUMBERS))
    )


def _collector(names: Names) -> Rights:
    return _compared(names, "ami-events") | _topics(Operation.WRITE, names.raw("ami-events"))


def _audit(names: Names) -> Rights:
    return _topics(Operation.READ, *_logs(names)) | _topics(Operation.DESCRIBE, names.facts)


def _audit_raw(names: Names) -> Rights:
    return _audit(names) | _topics(Operation.READ, *_raw(names), names.raw(NUMBERS))


def _reporting(names: Names) -> Rights:
    """What an audit needs that goes on: it counts dead letters too, and reports."""
    return (
        _compared(names, REPORTS)
        | _topics(Operation.WRITE, names.raw(REPORTS))
        | _topics(Operation.READ, names.raw(DEAD_LETTERS))
    )


def _doctor(names: Names) -> Rights:
    return _compared(names) | _topics(
        Operation.READ, *_logs(names), names.raw(DEAD_LETTERS), names.raw(DEPLOYMENT)
    )


def _both(names: Names, topic: str) -> Rights:
    return _topics(Operation.READ, names.raw(topic)) | _topics(Operation.WRITE, names.raw(topic))


def _declaring(names: Names) -> Rights:
    return _compared(names) | _topics(Operation.CREATE, *_all_topics(names))


ROLES = frozenset({"route", "fold", "sink", "view"})
PROCESSES: Mapping[str, Callable[[Names], Rights]] = {
    "route": _route,
    "fold": _fold,
    "sink": _sink,
    "view": _view,
    "gateway": _gateway,
    "ami": _collector,
    "audit": _audit,
    "audit --raw": _audit_raw,
    "audit --every": lambda names: _audit(names) | _reporting(names),
    "audit --every --raw": lambda names: _audit_raw(names) | _reporting(names),
    "doctor": _doctor,
    "topics show": _compared,
    "topics declare": _declaring,
    "topics declare --alter": lambda names: (
        _declaring(names) | _topics(Operation.ALTER_CONFIGS, *_all_topics(names))
    ),
    "keys": lambda names: _both(names, API_KEYS) | _compared(names, API_KEYS),
    "numbers": lambda names: _both(names, NUMBERS),
    "deployment show": lambda names: _topics(Operation.READ, names.raw(DEPLOYMENT)),
    "deployment adopt": lambda names: _both(names, DEPLOYMENT),
    "incomplete list": lambda names: _topics(Operation.READ, names.changelog(COUNTERS)),
    "incomplete acknowledge": lambda names: (
        _topics(Operation.READ, names.changelog(COUNTERS)) | _topics(Operation.WRITE, names.facts)
    ),
    "dead-letters": lambda names: _topics(Operation.READ, names.raw(DEAD_LETTERS)),
    "dead-letters replay": lambda names: (
        _topics(Operation.READ, names.raw(DEAD_LETTERS)) | _topics(Operation.WRITE, *_raw(names))
    ),
    "publish": lambda names: _topics(Operation.WRITE, *_raw(names)),
}
"""By the name of a role of `tally worker`, or of another command: what it needs where topics are declared."""
