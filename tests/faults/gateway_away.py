"""A gateway whose brokers go away under load and come back: what it answers, and what it remembers."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

from msgspec import Struct

from tally.deploy.local import LocalKafka
from tally.schemas.bounds import MIB
from tally.streams.dev.free_port import free_port
from tally.streams.settings import load, variable
from tests.faults.stack import until
from tests.faults.wire import Wire, wire
from tests.faults.wired_kafka import wired_kafka
from tests.support.gateway import Gateway, gateway, records_of
from tests.support.workers import environment_of

NO_POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
SENDERS = 90
BODY_BYTES = 20_000
REFUSED_SECONDS = 3.0
BACK_SECONDS = 5.0
MEMORY_BYTES = 64 * MIB
ANSWERED = 1_000
"""Requests that are answered before the brokers go away, so that what serving takes is taken."""
How = Literal["kill", "freeze"]


@asynccontextmanager
async def wired(folder: Path) -> AsyncIterator[tuple[Gateway, LocalKafka, Wire]]:
    """Run a broker of the test's own, and a gateway that reaches it through a wire."""
    ports = free_port(0), free_port(0)
    kafka = await asyncio.to_thread(wired_kafka((ports,)).start, folder / "servers", 0)
    try:
        direct = environment_of(kafka.bootstrap, NO_POSTGRES, "g-")
        through = direct | {variable("kafka_bootstrap"): f"127.0.0.1:{ports[0]}"}
        async with wire(*ports) as between, gateway(through, folder / "gateway.log") as running:
            await running.ready()
            running.settings = load(direct)
            yield running, kafka, between
    finally:
        await asyncio.to_thread(kafka.stop)


class Answer(Struct, frozen=True):
    """An answer to a post."""

    seconds: float
    status: int
    retry_after: str


class Away(Struct, frozen=True):
    """What came of the time without brokers."""

    answers: list[Answer]
    """While they were away."""
    more_bytes: int
    """The most memory while they were away, less that before."""
    back_seconds: float
    """From their return to the first 200."""
    lost: int
    """Bodies that got 200, and are not in the topic."""

    def check(self) -> None:
        """Raise AssertionError where a bound is not held."""
        assert len(self.answers) > SENDERS
        assert {(one.status, bool(one.retry_after)) for one in self.answers} == {(503, True)}
        assert max(one.seconds for one in self.answers) <= REFUSED_SECONDS
        assert self.more_bytes <= MEMORY_BYTES
        assert self.back_seconds <= BACK_SECONDS
        assert self.lost == 0


class Senders:
    """Clients that post body after body, whatever they are answered."""

    def __init__(self, running: Gateway) -> None:
        self._running = running
        self._stop = asyncio.Event()
        self.answers: list[Answer] = []
        self.safe: set[bytes] = set()
        """Digests of bodies that got 200."""

    @asynccontextmanager
    async def posting(self) -> AsyncIterator[None]:
        """Post for the time of the context."""
        senders = [asyncio.create_task(self._post()) for _ in range(SENDERS)]
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.gather(*senders)

    async def _post(self) -> None:
        while not self._stop.is_set():
            body = os.urandom(BODY_BYTES)
            began_s = time.monotonic()
            response = await self._running.post(body)
            after = response.headers.get("Retry-After", "")
            self.answers.append(Answer(time.monotonic() - began_s, response.status, after))
            if response.status == 200:
                self.safe.add(sha256(body).digest())
            else:
                await asyncio.sleep(0.05)


async def stay_away(folder: Path, how: How, away_seconds: float) -> Away:
    """Run a gateway under load, take its broker away for so long, and give it back."""
    async with wired(folder) as (running, kafka, _):
        senders = Senders(running)
        async with senders.posting():
            await until(lambda: len(senders.safe) > ANSWERED, 120, "bodies are safe")
            before_bytes = resident_bytes(running)
            await asyncio.to_thread(kafka.kill) if how == "kill" else os.kill(kafka.pid, signal.SIGSTOP)
            await asyncio.sleep(REFUSED_SECONDS + 1)
            senders.answers.clear()
            most_bytes, until_s = 0, time.monotonic() + away_seconds
            while time.monotonic() < until_s:
                most_bytes = max(most_bytes, resident_bytes(running))
                await asyncio.sleep(0.1)
            answers = list(senders.answers)
            await asyncio.to_thread(kafka.restart) if how == "kill" else os.kill(kafka.pid, signal.SIGCONT)
            back_s = time.monotonic()
            senders.answers.clear()
            await until(
                lambda: any(one.status == 200 for one in senders.answers), 60, "a request is accepted"
            )
            took_s = time.monotonic() - back_s
        kept = await records_of(running.settings, "webhook-events")
    missing = senders.safe - {sha256(record.value).digest() for record in kept}
    return Away(answers, most_bytes - before_bytes, took_s, len(missing))


def resident_bytes(running: Gateway) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) << 10


async def both_ways(folder: Path, away_seconds: float) -> dict[How, Away]:
    """Let two brokers be away at the same time, each in its own way."""
    ways: tuple[How, ...] = get_args(How)
    found = await asyncio.gather(*(stay_away(folder / how, how, away_seconds) for how in ways))
    return dict(zip(ways, found, strict=True))


def main() -> int:
    """Print what came of it. Raises AssertionError where a bound is not held."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.gateway_away", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the brokers are away")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="tally-outage-") as folder:
        found = asyncio.run(both_ways(Path(folder), asked.seconds))
    for how, one in found.items():
        sys.stdout.write(
            f"{how}: {asked.seconds:g} s away, {len(one.answers)} answers of 503, the slowest after"
            f" {max(answer.seconds for answer in one.answers):.2f} s; memory {one.more_bytes / MIB:+.1f} MiB;"
            f" first 200 {one.back_seconds:.2f} s after their return; {one.lost} bodies lost\n"
        )
    for one in found.values():
        one.check()
    return 0


if __name__ == "__main__":
    sys.exit(main())
