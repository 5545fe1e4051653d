"""A5: a worker whose disk is gone builds its tables again, and says it is ready when it has them."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from tally.simulator.records import WEBHOOK_EVENTS, RawRecord
from tests.faults.groups.striking import loaded, measured
from tests.faults.hooked_worker import HookedWorker
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.stack import Stack, stack, until
from tests.support.judge import simulated
from tests.support.webhooks import body, messages

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300)]

KEYS = 100_000
STATUSES = 1_000
"""In one POST; real ones hold fewer."""
PER_SECOND = 50
REBUILT_SECONDS = 60.0
COUNTED_SECONDS = 120.0


async def test_a_hundred_thousand_states_are_rebuilt_within_a_minute_and_not_ready_before(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path, names=("a",)) as whole, Sender(whole.settings) as sender:
        (worker,) = whole.workers
        await whole.start()
        await sender.send([posted(first) for first in range(0, KEYS, STATUSES)])
        await whole.counted(worker, COUNTED_SECONDS)
        async with loaded(sender, simulated(411, contacts_per_campaign=40), PER_SECOND):
            busy = await rebuilt(whole, worker)
        await whole.counted(worker, COUNTED_SECONDS)
        # Where nothing waits, lag does not tell that the tables are not there yet.
        quiet = await rebuilt(whole, worker)
        await assert_exact(whole, worker, sender.sent)

    for what, (seconds, recovered) in {"busy": busy, "quiet": quiet}.items():
        measured(f"A5 rebuilt, {what}", (seconds, recovered))
        assert seconds <= REBUILT_SECONDS
        assert len(recovered) == whole.settings.partitions
        assert sum(recovered.values()) >= KEYS


async def rebuilt(whole: Stack, worker: HookedWorker) -> tuple[float, dict[int, int]]:
    """Kill a worker, wipe its disk, start it; return when it was ready, and with what by then."""
    whole.held.add(worker)
    worker.signal(signal.SIGKILL)
    await until(lambda: not worker.is_running, 10.0, "killed")
    shutil.rmtree(worker.state)
    before = worker.log.stat().st_size
    worker.start()
    seconds = await whole.ready(worker)
    recovered = recovered_records(worker, before)
    whole.held.discard(worker)
    return seconds, recovered


def posted(first: int) -> RawRecord:
    """Return a webhook with the statuses of messages that nobody else speaks of."""
    statuses = [
        {"id": f"wamid.many.{number}", "status": "sent", "timestamp": "1750030073"}
        for number in range(first, first + STATUSES)
    ]
    return RawRecord(WEBHOOK_EVENTS, None, body(messages(statuses=statuses)))


def recovered_records(worker: HookedWorker, log_bytes: int) -> dict[int, int]:
    """Return how many changelog records each partition was opened with since the log was so long."""
    lines = worker.log.read_bytes()[log_bytes:].splitlines()
    opened = [json.loads(line) for line in lines if b'"partition opened"' in line]
    return {one["partition"]: one["recovered_records"] for one in opened}
