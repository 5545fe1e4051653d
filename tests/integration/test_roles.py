"""A process starts only what its roles need, counted in connections and threads."""

import asyncio
import re
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from tally.deploy import migrate
from tests.support.servers import Kafka
from tests.support.workers import WorkerProcess, environment_of

pytestmark = pytest.mark.asyncio


class Used(NamedTuple):
    """What one process holds."""

    kafka: int
    """Connections to the broker."""
    postgres: int
    threads: int

    def is_within(self, most: "Used") -> bool:
        """Whether nothing is more than that."""
        return all(held <= allowed for held, allowed in zip(self, most, strict=True))


MOST = {
    # What each was seen to hold, and one connection more: where a coordinator is asked anew, there are two.
    "route": Used(kafka=8, postgres=0, threads=4),
    "fold": Used(kafka=14, postgres=0, threads=8),  # a transactional producer for each of four partitions
    # Keys, names, numbers and reports beside the counters; Postgres says how fast each number sends.
    "view": Used(kafka=8, postgres=1, threads=3),
    "sink": Used(kafka=14, postgres=4, threads=3),
}
"""A producer too many, or a view that nobody asks, is one connection and a thread at least."""


@pytest.mark.alone
async def test_each_role_starts_only_what_it_needs(kafka: Kafka, database: str, tmp_path: Path) -> None:
    """One process a role, which together are a deployment: alone, a view would never be ready."""
    await asyncio.to_thread(migrate.up, database)
    environment = environment_of(kafka.bootstrap, database, f"r{uuid4().hex[:8]}-")
    with ExitStack() as closing:
        workers = {role: WorkerProcess(environment, tmp_path, role, roles=role) for role in MOST}
        for worker in workers.values():
            closing.callback(worker.kill)
            worker.start()
        async with asyncio.TaskGroup() as tasks:
            for worker in workers.values():
                tasks.create_task(worker.ready())
        used = {role: used_by(worker, kafka, database) for role, worker in workers.items()}

    too_much = {role: (held, MOST[role]) for role, held in used.items() if not held.is_within(MOST[role])}
    assert too_much == {}


def used_by(worker: WorkerProcess, kafka: Kafka, dsn: str) -> Used:
    assert worker.process is not None
    there = Path(f"/proc/{worker.process.pid}")
    ports = [int(address.rpartition(":")[2], 16) for address in _remotes(there)]
    postgres = int(re.search(r":(\d+)/", dsn)[1])  # type: ignore[index]
    threads = len(list((there / "task").iterdir()))
    return Used(ports.count(int(kafka.bootstrap.rpartition(":")[2])), ports.count(postgres), threads)


def _remotes(process: Path) -> list[str]:
    """Return the other end of each TCP connection of a process."""
    inodes = set()
    for one in (process / "fd").iterdir():
        try:
            inodes.add(one.readlink().name)
        except OSError:
            continue
    found = []
    for name in ("tcp", "tcp6"):
        for line in (process / "net" / name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "01" and f"socket:[{fields[9]}]" in inodes:
                found.append(fields[2])
    return found
