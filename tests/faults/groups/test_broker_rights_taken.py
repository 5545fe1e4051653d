"""Group B, brokers with access control: each right that is taken away is named by what needs it.

`rights_used.py` has what fails; that each right is used by the process itself: test_broker_rights.py.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from msgspec import Struct

from tally.deploy import migrate
from tally.schemas.numbers import Number
from tally.schemas.topics import CHANGELOGS, DEAD_LETTERS
from tally.streams.keys import managing
from tally.streams.operations import altering, deployment, numbers, topics
from tally.streams.operations import rights as at_brokers
from tally.streams.operations.rights_needed import PROCESSES, Operation, Right, rights_of
from tally.streams.runtime.exit import describe
from tally.streams.settings import Settings, load
from tests.faults.groups.rights_used import TRIES
from tests.support.guarded_kafka import allow, make_users
from tests.support.guarded_whole import ROLES, Guarded, guarded_brokers, user_of
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

EXIT_SECONDS = 60.0
EXIT_CODE = 70
AT_ONCE = 2
"""Tries side by side: each waits for the brokers most of the time."""
TRY_SECONDS = 30.0
ADMITTED_AT_ONCE = 50
"""Users whose rights are given in one request: a controller takes 10,000 rules."""
UNDECLARED = "c-"
"""Prefix of topics that nobody has declared."""


async def test_each_right_that_is_taken_away_stops_something_that_says_so(
    tmp_path: Path, database: str
) -> None:
    await asyncio.to_thread(migrate.up, database)
    async with guarded_brokers(tmp_path) as kafka:
        guarded, undeclared = Guarded(kafka, database), Guarded(kafka, database, UNDECLARED)
        await topics.declare(guarded.settings)
        await fill(guarded.settings)
        await make_unfit(guarded.settings)
        taken = [
            *each_taken(guarded, PROCESSES, lambda right: right.operation is not Operation.CREATE),
            *each_taken(undeclared, ["topics declare"], lambda right: right.operation is Operation.CREATE),
        ]
        await make_users(kafka.bootstrap, [one.user for one in taken])
        for some in batched(taken, ADMITTED_AT_ONCE):
            await allow(kafka.bootstrap, [(one.user, right) for one in some for right in one.left])
        gate = asyncio.Semaphore(AT_ONCE)
        said = await asyncio.gather(*(said_without(one, gate) for one in taken))
        code, line = await ended_without(guarded, tmp_path)

    wrong = {
        f"{one.who} without {one.right}": words
        for one, words in zip(taken, said, strict=True)
        if one.words not in words
    }
    assert wrong == {}
    assert code == EXIT_CODE
    assert f"ends lacks Write on topic {guarded.settings.names.facts}" in line


class Taken(Struct, frozen=True):
    """A user with all rights of a process but one."""

    guarded: Guarded
    user: str
    who: str
    right: Right
    left: list[Right]

    @property
    def words(self) -> str:
        """What has to be said.

        Of transactional ids and of topics that are not there brokers say no more than that one is refused.
        """
        if self.right.operation is Operation.CREATE:
            return f"could not declare {self.right.name}: TopicAuthorizationFailedError"
        if self.right.kind == "transactional id":
            return "grant Write and Describe on this transactional id"
        return f"{self.user} lacks {self.right}"


def each_taken(guarded: Guarded, whos: Iterable[str], which: Callable[[Right], bool]) -> list[Taken]:
    return [
        Taken(
            guarded,
            f"{user_of([who])}-{guarded.prefix}{number}",
            who,
            right,
            [*whole[:number], *whole[number + 1 :]],
        )
        for who in whos
        for whole in [rights_of([who], guarded.settings.names)]
        for number, right in enumerate(whole)
        if which(right)
    ]


def batched(taken: Sequence[Taken], size: int) -> Iterator[Sequence[Taken]]:
    return (taken[begin : begin + size] for begin in range(0, len(taken), size))


async def said_without(taken: Taken, gate: asyncio.Semaphore) -> str:
    """Do what needs the right that was taken away, as a command would; return what is said."""
    settings = load(taken.guarded.as_user(taken.user))
    attempt = TRIES[taken.who]
    async with gate:
        try:
            async with asyncio.timeout(TRY_SECONDS):
                await attempt(settings, taken.right, taken.who)
        except Exception as error:
            return describe(await at_brokers.explained(settings, taken.who, error))
    return "nothing failed"


async def fill(settings: Settings) -> None:
    """Put something into the topics that commands read: nothing is fetched from an empty one."""
    await numbers.set_number(settings, "100", Number("t1"))
    await managing.add(settings, ("read",), ("t1",), 1)
    await deployment._write(settings, {"1" * 32: b"1"})
    names = settings.names
    async with settings.kafka.producer() as producer:
        for topic in (names.raw(DEAD_LETTERS), names.facts, *map(names.changelog, CHANGELOGS)):
            await producer.send_and_wait(topic, b"", key=b"k")


async def make_unfit(settings: Settings) -> None:
    """Change each topic as `tally topics declare --alter` would set right."""
    async with topics.admin(settings) as client:
        names = [topic.name for topic in topics.wanted(settings)]
        assert await altering.alter(client, {name: {"max.message.bytes": "4096"} for name in names}) == []


async def ended_without(guarded: Guarded, folder: Path) -> tuple[int, str]:
    """Run a worker whose user may not write facts until it ends; return its code and why it ended."""
    rights = rights_of(ROLES, guarded.settings.names)
    left = [one for one in rights if str(one) != f"Write on topic {guarded.settings.names.facts}"]
    await make_users(guarded.kafka.bootstrap, ["ends"])
    await allow(guarded.kafka.bootstrap, [("ends", one) for one in left])
    worker = WorkerProcess(guarded.as_user("ends"), folder, "ends")
    worker.start()
    try:
        code = await asyncio.to_thread(worker.wait, EXIT_SECONDS)
    finally:
        worker.kill()
    lines = map(json.loads, (await asyncio.to_thread(worker.log.read_text)).splitlines())
    return code, next(str(line["error"]) for line in lines if line["level"] == "critical")
