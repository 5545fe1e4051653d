"""Group B, brokers with access control: the listed rights do, and each of them is used.

The list is that of docs/running.md and of `tally topics rights` (`operations/rights_needed.py`).
"""

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest

from tally.schemas.sources import READERS
from tally.schemas.topics import REPORTS
from tally.simulator.records import RawRecord
from tally.streams.dev.free_port import free_port
from tally.streams.dev.judging import judged
from tally.streams.dev.publisher import Publisher
from tally.streams.operations import dead_letters
from tally.streams.operations.rights_needed import PROCESSES, command_of, rights_of
from tally.streams.settings import load, variable
from tests.faults.groups.test_workers_wrong import BAD, WRONG, sent_to
from tests.faults.hooked_worker import HookedWorker
from tests.support.gateway import records_of
from tests.support.guarded_kafka import decisions
from tests.support.guarded_whole import (
    BURST,
    ROLES,
    Guarded,
    guarded_brokers,
    publish_through_doors,
    user_of,
    whole,
)
from tests.support.judge import counted, simulated
from tests.support.keys import answers_of
from tests.support.waiting import until
from tests.support.workers import WorkerProcess, said, tally_process

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

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


REPEATED = ("audit --every", "audit --every --raw")
"""Commands that go on until they are stopped."""
AUDITED_SECONDS = 60.0
QUARANTINED_SECONDS = 120.0
"""For three starts of a fold."""


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
            async with Publisher(load(guarded.as_user("publish"))) as publisher:
                await publisher.publish([one for one in bad if one.topic == "webhook-events"], lambda _: None)
            await until(lambda: len(running.pbx.sent) >= len(BURST))
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
            for who in REPEATED:
                await audits(guarded, tmp_path / f"{user_of([who])}.log", who)
            await counted(running.view)
            async with answers_of(running.view) as answers:
                judgement = await judged(guarded.settings, answers)
            assert [*judgement.in_view, *judgement.in_postgres] == []
            await guarded.says(tmp_path / "raw.log", "audit --raw", "audit", "--raw")
            await quarantines(guarded, running.fold, tmp_path)
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


async def audits(guarded: Guarded, log: Path, who: str) -> None:
    """Let an audit that goes on make one audit and one report."""
    port = free_port(0)
    environment = guarded.as_user(user_of([who])) | {variable("audit_metrics_port"): str(port)}
    arguments = who.replace("--every", "--every 60").split()
    before = len(await records_of(guarded.settings, REPORTS))
    async with (
        asyncio.timeout(AUDITED_SECONDS),
        tally_process(environment, log, *arguments),
        aiohttp.ClientSession() as http,
    ):
        while await audits_made(http, port) == 0:
            await asyncio.sleep(0.1)
        while len(await records_of(guarded.settings, REPORTS)) == before:
            await asyncio.sleep(0.1)
    assert "lacks" not in await asyncio.to_thread(log.read_text)


async def audits_made(http: aiohttp.ClientSession, port: int) -> float:
    """Return when the last audit was made; 0 where none was."""
    try:
        async with http.get(f"http://127.0.0.1:{port}/metrics") as response:
            text = await response.text()
    except aiohttp.ClientConnectionError:
        return 0
    found = re.search(r"^tally_audit_timestamp_seconds (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


async def quarantines(guarded: Guarded, fold: WorkerProcess, folder: Path) -> None:
    """Start a fold, as its supervisor would, whose code fails at one fact, until it keeps that fact."""
    fold.kill()
    wrong = HookedWorker(fold.environment, folder, "wrong", state_folder=str(fold.state))
    wrong.poison(BAD)
    async with Publisher(load(guarded.as_user("publish"))) as publisher:
        await publisher.publish([sent_to(BAD)], lambda _: None)
    try:
        async with asyncio.timeout(QUARANTINED_SECONDS):
            while not any(one.reason == "code_failure" for one in await dead_letters.read(guarded.settings)):
                if not wrong.is_running:
                    assert wrong.process is None or wrong.wait(0) == WRONG
                    wrong.start()
                await asyncio.sleep(0.5)
    finally:
        wrong.kill()


def prefix_of(right: str) -> str:
    """Return a right on a transactional id as one on all that begin as it does."""
    head, slash, _ = right.partition("/")
    return head + slash
