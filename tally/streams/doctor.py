"""Diagnosis: can everything be reached, is everything as it must be, and what is waiting."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from msgspec import Struct, field

from tally.deploy import migrate
from tally.schemas.bounds import BY_NAME, CUSTOMER, TEMPLATES_SHOWN
from tally.schemas.keys import split_parts
from tally.schemas.notices import UNITS
from tally.streams import dead_letters, deployment, generation, incomplete, topics
from tally.streams.log_reading import read_to_end
from tally.streams.settings import Settings
from tally.tables.contribution import is_contested
from tally.tables.families.customer.family import CustomerFamily
from tally.tables.families.message import MessageFamily
from tally.tables.rules import Rules

CUSTOMERS = CustomerFamily()
MESSAGES = MessageFamily()
LARGE_BYTES = 10_000
"""Of a customer; smaller ones are not kept in mind."""
DEADLINE_SECONDS = 20.0
SCAN_SECONDS = 300.0
SHOWN = 20
MANY_TEMPLATES = """
SELECT tenant, campaign, count(DISTINCT (template_name, template_language)) AS templates
FROM tally.counters
WHERE generation = $1 AND NOT whole_campaign AND campaign <> ''
GROUP BY tenant, campaign HAVING count(DISTINCT (template_name, template_language)) > $2
ORDER BY templates DESC LIMIT $3
"""


class SomethingMissing(Exception):
    """Numbers are too low, and nobody has acknowledged it."""


class Finding(Struct, frozen=True):
    """One check: what was looked at, whether it is as it must be, and what to do if not."""

    check: str
    ok: bool
    detail: str


async def examine(settings: Settings) -> list[Finding]:
    """Run every check; one that fails does not keep the others from running."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[str]]]] = [
        ("kafka", _kafka),
        ("topics", _topics),
        ("postgres", _postgres),
        ("migrations", _migrations),
        ("generation", _generation),
        ("deployment", _deployment),
        ("campaigns with more templates than an answer shows", _many_templates),
        ("messages by business number", _messages),
        ("customers by business number", _customers),
        ("dead letters by reason", _dead_letters),
        ("what is missing", what_is_missing),
    ]
    return [await _finding(name, check, settings) for name, check in checks]


async def _finding(name: str, check: Callable[[Settings], Awaitable[str]], settings: Settings) -> Finding:
    try:
        return Finding(name, True, await check(settings))
    except Exception as error:
        return Finding(name, False, f"{type(error).__name__}: {error}")


async def _kafka(settings: Settings) -> str:
    states = await topics.states(settings)
    return (
        f"{settings.kafka_bootstrap} answers, {sum(s.partitions is not None for s in states)} of our topics"
    )


async def _topics(settings: Settings) -> str:
    topics.refuse(await topics.states(settings))
    return "all there, as exactness needs them"


async def _postgres(settings: Settings) -> str:
    connection = await _connect(settings)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def _connect(settings: Settings) -> Any:
    dsn = settings.postgres_dsn.get_secret_value()
    return await asyncpg.connect(dsn, timeout=DEADLINE_SECONDS, command_timeout=DEADLINE_SECONDS)


async def _migrations(settings: Settings) -> str:
    status = await asyncio.to_thread(migrate.status, settings.postgres_dsn.get_secret_value())
    if status.pending:
        raise migrate.MigrationError(f"{len(status.pending)} pending: run `tally migrate up`")
    return f"{len(status.applied)} applied, none pending"


async def _generation(settings: Settings) -> str:
    shown = await generation.shown(settings)
    if shown not in (None, settings.generation):
        raise generation.GenerationError(
            f"Postgres shows generation {shown}, this is {settings.generation}: `tally generation raise` when"
            " it has caught up"
        )
    return f"Postgres shows {shown or 'none yet'}, this is {settings.generation}"


async def _deployment(settings: Settings) -> str:
    of_brokers, of_database = await deployment.shown(settings)
    if of_brokers is not None and of_brokers != of_database:
        raise deployment.ForeignDatabase(of_brokers, of_database)
    return f"brokers and database belong together: {of_brokers or 'nothing flushed yet'}"


async def _many_templates(settings: Settings) -> str:
    """Name campaigns of which an answer adds templates up: mostly texts where names belong."""
    connection = await _connect(settings)
    try:
        found = await connection.fetch(MANY_TEMPLATES, settings.generation, TEMPLATES_SHOWN.most, SHOWN + 1)
    finally:
        await connection.close()
    shown = [f"{one['tenant']}/{one['campaign']}: {one['templates']}" for one in found[:SHOWN]]
    return ", ".join([*shown, *(["..."] if len(found) > SHOWN else [])]) or "none"


async def _messages(settings: Settings) -> str:
    census = Census()
    changelog = settings.names.changelog(MESSAGES.table)
    async for record in read_to_end(settings.kafka_client(), [changelog], SCAN_SECONDS):
        census.take(record.key, record.value)
    return str(census)


class Census(Struct):
    """Messages whose send result has not come, and messages that several tenants claim.

    Most of the former belong to no campaign and never will. Of the claims of the latter all but one
    tenant's are wrong: somebody publishes message ids that are not theirs.
    """

    waiting: set[bytes] = field(default_factory=set)
    contested: set[bytes] = field(default_factory=set)

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the messages' changelog; a later one of the same message replaces it."""
        self.waiting.discard(key)
        self.contested.discard(key)
        if value is None:
            return
        state = MESSAGES.decode(value)
        if MESSAGES.waits(state):
            self.waiting.add(key)
        elif state.others and is_contested(MESSAGES.contribution(key, state, Rules())):
            self.contested.add(key)

    def __str__(self) -> str:
        waiting, contested = _by_number(self.waiting), _by_number(self.contested)
        return f"waiting for a send result: {waiting}; claimed by several tenants: {contested}"


async def _customers(settings: Settings) -> str:
    crowds = Crowds()
    changelog = settings.names.changelog(CUSTOMERS.table)
    async for record in read_to_end(settings.kafka_client(), [changelog], SCAN_SECONDS):
        crowds.take(record.key, record.value)
    return str(crowds)


class Crowds(Struct):
    """Identifiers that are shown with too many others to identify anybody, and the largest customer there is.

    A producer or a gateway has filled in one phone or user id for everybody, or one message id.
    """

    refused: set[bytes] = field(default_factory=set)
    incomplete: set[bytes] = field(default_factory=set)
    sizes: dict[bytes, int] = field(default_factory=dict)

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the customers' changelog; a later one of the same key replaces it."""
        self.refused.discard(key)
        self.incomplete.discard(key)
        self.sizes.pop(key, None)
        if value is None:
            return
        state = CUSTOMERS.decode(value)
        if CUSTOMERS.beyond(state) is not None:
            self.incomplete.add(key)
        if CUSTOMERS.stands_apart(state):
            self.refused.add(key)
        elif len(value) > LARGE_BYTES:
            self.sizes[key] = len(value)

    def __str__(self) -> str:
        largest = max(self.sizes.values(), default=0)
        size = f"{largest:,}" if largest else f"below {LARGE_BYTES:,}"
        refused, incomplete = _by_number(self.refused), _by_number(self.incomplete)
        return (
            f"identifiers that identify nobody: {refused}; of these by the size of a customer: {incomplete};"
            f" largest customer: {size} of {CUSTOMER.most:,} bytes"
        )


def _by_number(messages: set[bytes]) -> str:
    numbers = Counter(split_parts(key)[0] for key in messages)
    shown = [f"{number}: {count}" for number, count in numbers.most_common(SHOWN)]
    return ", ".join([*shown, *(["..."] if len(numbers) > SHOWN else [])]) or "none"


async def _dead_letters(settings: Settings) -> str:
    found = await dead_letters.summary(settings)
    counts = [f"{reason}: {count}" for reason, count in found.by_reason.most_common()]
    foreign = [f"and {found.foreign} records that are none"] if found.foreign else []
    return ", ".join([*counts, *foreign]) or "none"


async def what_is_missing(settings: Settings) -> str:
    """Return what is missing from the numbers. Raises SomethingMissing: some of it is not acknowledged."""
    lines = await incomplete.read(settings)
    shown = [_missing(line) for line in lines[:SHOWN]] + (["..."] if len(lines) > SHOWN else [])
    if any(line.count > line.acknowledged for line in lines):
        raise SomethingMissing("; ".join(shown) + " (see `tally incomplete list`)")
    return "; ".join(shown) or "nothing"


def _missing(line: incomplete.Line) -> str:
    """Return a line without whose it is: what is printed here may go anywhere."""
    bound = BY_NAME.get(line.kind)
    unit = UNITS.get(line.kind, "subjects")
    why = f", more than {bound.most:,} {bound.of}" if bound else ""
    open_count = line.count - line.acknowledged
    if not open_count:
        return f"{line.count} {unit} {line.kind}{why}, acknowledged"
    return f"{open_count} of {line.count} {unit} {line.kind}{why}"
