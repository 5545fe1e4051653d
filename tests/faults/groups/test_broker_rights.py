"""Group B, brokers with access control: the listed rights do, each is used, each that is missing is named.

The list is that of docs/running.md and of `tally topics rights` (`operations/rights_needed.py`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from msgspec import Struct

from tally.deploy import migrate
from tally.schemas.notices import Acknowledged
from tally.schemas.numbers import Number
from tally.schemas.sources import READERS
from tally.schemas.topics import CHANGELOGS, DEAD_LETTERS
from tally.simulator.records import RawRecord
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.sink import open_sink
from tally.streams.audit.examine import examine as audited
from tally.streams.dev.free_port import free_port
from tally.streams.dev.judging import judged
from tally.streams.dev.publisher import Publisher
from tally.streams.gateway import process as gateway
from tally.streams.gateway.kafka import Connector
from tally.streams.keys import managing
from tally.streams.operations import altering, dead_letters, deployment, doctor, incomplete, numbers, topics
from tally.streams.operations import rights as at_brokers
from tally.streams.operations.rights_needed import PROCESSES, Operation, Right, command_of, rights_of
from tally.streams.runtime.exit import describe
from tally.streams.settings import Settings, load
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.store.partition import PartitionStore
from tests.faults.stack import until
from tests.support.guarded_kafka import GuardedKafka, allow, decisions, guarded_kafka, make_users
from tests.support.guarded_whole import BURST, ROLES, Guarded, publish_through_doors, user_of, whole
from tests.support.judge import counted, simulated
from tests.support.keys import answers_of
from tests.support.stored_partition import store_settings
from tests.support.workers import WorkerProcess, said

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

EXIT_SECONDS = 60.0
EXIT_CODE = 70
AT_ONCE = 2
"""Tries side by side: each waits for the brokers most of the time."""
TRY_SECONDS = 120.0
UNDECLARED = "c-"
"""Prefix of topics that nobody has declared."""
COMMANDS = (
    ("keys", "add", "--tenants", "t1"),
    ("keys", "list"),
    ("numbers", "set", "100", "t1"),
    ("numbers", "list"),
    ("topics", "show"),
    ("dead-letters", "list"),
    ("dead-letters", "replay"),
    ("incomplete", "list"),
    ("deployment", "show"),
    ("deployment", "adopt"),
    ("doctor",),
    ("audit",),
)
"""Commands that run beside the workers, each as the user of the list's name for it."""
NOT_RUN = ("incomplete acknowledge", "topics declare --alter")
"""Of these the rights are taken away all the same: nothing is missing, and no topic is unfit."""


def who_runs(arguments: tuple[str, ...]) -> str:
    found = command_of(" ".join(arguments), [])
    assert found is not None
    return found


async def test_the_listed_rights_do_and_each_of_them_is_used(tmp_path: Path, database: str) -> None:
    bad = [RawRecord(topic, b"k", b"{") for topic in READERS]
    async with guarded_brokers(tmp_path) as kafka:
        guarded = Guarded(kafka, database)
        ran = [[one] for one in PROCESSES if one not in NOT_RUN]
        await guarded.admit(*ran)
        await guarded.says(tmp_path / "declare.log", "topics declare", "topics", "declare")
        async with whole(guarded, tmp_path, [[role] for role in ROLES]) as running:
            records = [*simulated(seed=1, contacts_per_campaign=15), *bad]
            await publish_through_doors(guarded, running, records)
            await until(lambda: len(running.pbx.sent) >= len(BURST), 60, "the PBX has said all")
            await counted(running.view)
            for number, arguments in enumerate(COMMANDS):
                who = who_runs(arguments)
                code, printed = await said(
                    guarded.as_user(user_of([who])), tmp_path / f"{number}.log", *arguments
                )
                # Dead letters are something that doctor finds.
                assert code in (0, 1), printed
                assert "lacks" not in printed
                assert "Authorization" not in printed
            await counted(running.view)
            async with answers_of(running.view) as answers:
                judgement = await judged(guarded.settings, answers)
            assert [*judgement.in_view, *judgement.in_postgres] == []
            await guarded.says(tmp_path / "raw.log", "audit --raw", "audit", "--raw")
        found = decisions(kafka)

    assert sorted(f"{one.user}: {one.right}" for one in found if not one.is_allowed) == []
    used = {(one.user, prefix_of(one.right)) for one in found}
    needless = [
        f"{who}: {right}"
        for (who,) in ran
        for right in rights_of([who], guarded.settings.names)
        if (user_of([who]), str(right)) not in used
    ]
    assert needless == []


def prefix_of(right: str) -> str:
    """Return a right on a transactional id as one on all that begin as it does."""
    head, slash, _ = right.partition("/")
    return head + slash


@asynccontextmanager
async def guarded_brokers(folder: Path) -> AsyncIterator[GuardedKafka]:
    made = guarded_kafka(free_port(0), free_port(0))
    kafka = await asyncio.to_thread(made.start, folder / "servers", 0)
    assert isinstance(kafka, GuardedKafka)
    try:
        yield kafka
    finally:
        await asyncio.to_thread(kafka.stop)


# What fails where a right is missing: all that a process or command does with it, in this process.


async def started(settings: Settings, right: Right, who: str) -> None:
    if right.kind == "transactional id":
        with TemporaryDirectory() as folder:
            await PartitionStore(store_settings(settings, Path(folder)), 0).open()
    await at_brokers.check(settings, [who])


async def collected(settings: Settings, _right: Right, _who: str) -> None:
    pbx = Pbx.model_validate({"name": "pbx01", "host": "127.0.0.1", "username": "x", "secret": "x"})
    await (await open_sink(settings, pbx)).close()


async def gathered(settings: Settings, _right: Right, _who: str) -> None:
    names = [settings.names.raw(topic) for topic in gateway.TOPICS]
    await (await Connector(settings, names).connect()).close()


async def examined(settings: Settings, _right: Right, _who: str) -> None:
    failed = [one.detail for one in await doctor.examine(settings) if one.check == "rights" and not one.ok]
    if failed:
        raise at_brokers.RightsMissing(failed[0])


async def recounted(settings: Settings, _right: Right, who: str) -> None:
    await audited(settings, with_raw=who == "audit --raw")


async def shown(settings: Settings, _right: Right, _who: str) -> None:
    topics.refuse(await topics.states(settings))


async def declared(settings: Settings, right: Right, _who: str) -> None:
    is_new = right.operation is Operation.CREATE
    await topics.declare(settings, only={right.name}, mend=not is_new)


async def with_keys(settings: Settings, right: Right, _who: str) -> None:
    if right.operation is Operation.WRITE:
        await managing.add(settings, ("read",), ("t1",), 1)
    else:
        await managing.all_keys(settings)


async def with_numbers(settings: Settings, right: Right, _who: str) -> None:
    if right.operation is Operation.WRITE:
        await numbers.set_number(settings, "100", Number("t1"))
    else:
        await numbers.all_numbers(settings)


async def with_deployment(settings: Settings, right: Right, _who: str) -> None:
    if right.operation is Operation.WRITE:
        await deployment._write(settings, {"0" * 32: b"1"})
    else:
        await deployment.of_brokers(settings)


async def with_missing(settings: Settings, right: Right, _who: str) -> None:
    if right.operation is Operation.READ:
        await incomplete.read(settings)
        return
    facts = FactsLog(settings.kafka, settings.names.facts)
    try:
        await facts.start()
        await facts.tell({0: Acknowledged("lost_records", ("send-results", "0"), 1, "")}, 1)
    finally:
        await facts.close()


async def published(settings: Settings, right: Right, _who: str) -> None:
    if right.operation is Operation.READ:
        await dead_letters.read(settings)
        return
    async with Publisher(settings) as publisher:
        topic = right.name.removeprefix(settings.topic_prefix)
        await publisher.publish([RawRecord(topic, b"k", b"{")], lambda _: None)


Try = Callable[[Settings, Right, str], Awaitable[None]]
TRIES: Mapping[str, Try] = {
    **dict.fromkeys(ROLES, started),
    "gateway": gathered,
    "ami": collected,
    "audit": recounted,
    "audit --raw": recounted,
    "doctor": examined,
    "topics show": shown,
    "topics declare": declared,
    "topics declare --alter": declared,
    "keys": with_keys,
    "numbers": with_numbers,
    "deployment show": with_deployment,
    "deployment adopt": with_deployment,
    "incomplete list": with_missing,
    "incomplete acknowledge": with_missing,
    "dead-letters": published,
    "dead-letters replay": published,
    "publish": published,
}


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
        for one in taken:
            await allow(kafka.bootstrap, [(one.user, right) for right in one.left])
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


async def said_without(taken: Taken, gate: asyncio.Semaphore) -> str:
    """Do what needs the right that was taken away, as a command would; return what is said."""
    settings = load(taken.guarded.as_user(taken.user))
    async with gate, asyncio.timeout(TRY_SECONDS):
        try:
            await TRIES[taken.who](settings, taken.right, taken.who)
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
