"""A worker process on the batched transport that records in a file what it has seen.

Run as `python -m tests.support.transport_process '<json>'`. Each line of the file holds a partition, then
offsets. It is written before its run is acknowledged.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import faust
from faust.types import TP
from msgspec import Struct, convert

from tally.streams.runtime.run import Parts, fail, run_worker
from tally.streams.transport.app import consume, consumer_app
from tally.streams.transport.config import RunLimits, TransportConfig
from tally.streams.transport.runs import Run
from tally.streams.web.app import WebOnly
from tally.tables.kafka.clients import KafkaClients


class Job(Struct, frozen=True):
    """The task of the process."""

    bootstrap: str
    group: str
    topic: str
    seen: str
    fault: str = ""
    """Where to raise at the first run: agent, task or service. Or: return, hang (at the stop)."""
    run_seconds: float = 0.0
    max_records: int = 50
    web_port: int = 0
    """If set, the process has three apps: two groups that read the topic, and a page."""


def options(job: Job) -> TransportConfig:
    """Return the options of production, with smaller runs."""

    def nothing(_: set[TP]) -> None:
        """Ignore assignments."""

    return TransportConfig(
        kafka=KafkaClients((job.bootstrap,)),
        assigned=nothing,
        revoked=nothing,
        limits=RunLimits(max_records=job.max_records),
    )


class Noting:
    """Passes runs to a task for each partition, which records and acknowledges them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._file = os.open(job.seen, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._queues: dict[int, asyncio.Queue[Run]] = {}
        self.count = 0

    async def agent(self, runs: AsyncIterator[Run]) -> None:
        """Distribute runs to the tasks of their partitions."""
        async with asyncio.TaskGroup() as tasks:
            async for run in runs:
                if self._job.fault == "agent":
                    raise RuntimeError("the agent's fault")
                if self._job.fault == "return":
                    return
                if run.partition not in self._queues:
                    queue = self._queues[run.partition] = asyncio.Queue()
                    tasks.create_task(self._work(queue))
                self._queues[run.partition].put_nowait(run)

    async def _work(self, queue: "asyncio.Queue[Run]") -> None:
        while True:
            run = await queue.get()
            if self._job.fault == "task":
                raise RuntimeError("the task's fault")
            await asyncio.sleep(self._job.run_seconds)
            if run.is_current:
                line = " ".join(str(number) for number in (run.partition, *(r.offset for r in run.records)))
                os.write(self._file, f"{line}\n".encode())
                run.ack()

    async def other_agent(self, runs: AsyncIterator[Run]) -> None:
        """Count records only."""
        async for run in runs:
            self.count += len(run.records)
            run.ack()

    async def service(self) -> None:
        """Run until cancelled; with a fault, raise or refuse to be cancelled."""
        if self._job.fault == "service":
            raise RuntimeError("the service's fault")
        try:
            await asyncio.Event().wait()
        finally:
            while self._job.fault == "hang":
                await asyncio.sleep(1)


def page_app(job: Job, noting: Noting) -> faust.App:
    """Return an app that serves one page with the number of records read by the second group."""

    class App(faust.App):
        BootStrategy = WebOnly

    app = App(
        f"{job.group}-web",
        broker="kafka://",
        store="memory://",
        datadir=Path(job.seen).parent,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=job.web_port,
    )

    @app.page("/count")
    async def count(view: Any, _: Any) -> Any:
        return view.json({"count": noting.count})

    return app


def main(argument: str) -> NoReturn:
    """Run the worker."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    job = convert(json.loads(argument), Job)
    noting = Noting(job)

    async def build() -> Parts:
        apps: list[faust.App] = [page_app(job, noting)] if job.web_port else []
        for group in (job.group, f"{job.group}-second")[: 2 if job.web_port else 1]:
            app = consumer_app(group, options(job))
            consume(app, (job.topic,), noting.agent if group == job.group else noting.other_agent, fail)
            apps.append(app)
        return Parts(apps, {"service": noting.service})

    run_worker(build, stop_seconds=3.0 if job.fault == "hang" else 20.0)


def seen(path: Path) -> list[tuple[int, int]]:
    """Return every recorded (partition, offset), in order and with repetitions."""
    lines = path.read_text().splitlines() if path.exists() else []
    numbers = [[int(number) for number in line.split()] for line in lines]
    return [(partition, offset) for partition, *offsets in numbers for offset in offsets]


if __name__ == "__main__":
    main(sys.argv[1])
