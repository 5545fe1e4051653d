"""What fails where a right at the brokers is missing: all that a process or command does with it."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tally.schemas.notices import Acknowledged
from tally.schemas.numbers import Number
from tally.schemas.reports import AuditReport, Reporter
from tally.simulator.records import RawRecord
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.sink import open_sink
from tally.streams.audit.examine import examine as audited
from tally.streams.audit.letters import LettersByReason
from tally.streams.dev.publisher import Publisher
from tally.streams.gateway import process as gateway
from tally.streams.gateway.kafka import Connector
from tally.streams.keys import managing
from tally.streams.operations import dead_letters, deployment, doctor, incomplete, numbers, topics
from tally.streams.operations import rights as at_brokers
from tally.streams.operations.rights_needed import Operation, Right, rights_of
from tally.streams.reports import reporting
from tally.streams.settings import Settings
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.store.partition import PartitionStore
from tests.support.guarded_whole import ROLES
from tests.support.stored_partition import store_settings


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


async def repeated(settings: Settings, right: Right, who: str) -> None:
    if right in rights_of(["audit --raw"], settings.names):
        await audited(settings, with_raw=who.endswith("--raw"))
    await LettersByReason().read(settings)
    await reporting.publish(settings, Reporter("audit", "x"), AuditReport(1.0))


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
    "audit --every": repeated,
    "audit --every --raw": repeated,
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
"""By the name of a process or command in the list."""
