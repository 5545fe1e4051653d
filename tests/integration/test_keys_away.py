"""Keys while servers are away: what was known last holds, and before anything is known nobody is let in.

No Postgres answers anywhere here: keys do not need it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from tally.streams.dev.free_port import free_port
from tally.streams.keys import managing
from tally.streams.keys.key import SCOPES, Presented
from tally.streams.operations import topics
from tally.streams.settings import load, variable
from tests.faults.wire import LOOPBACK, Wire, wire
from tests.faults.wired_kafka import wired_kafka
from tests.support.gateway import gateway
from tests.support.workers import WorkerProcess, environment_of, workers

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240), pytest.mark.long]

NO_POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
IN_FORCE_SECONDS = 2.0
AWAY_SECONDS = 3.0
STARTED_SECONDS = 60.0
MOST_ROUNDS = 25
ITEM = b'{"tenant": "t1", "campaign": "c1", "name": "November", "time": 1795350900000}'


class Doors:
    """The read API of a worker, and a gateway; each is asked for something that needs a key."""

    def __init__(self, http: aiohttp.ClientSession, worker: WorkerProcess, gateway_url: str) -> None:
        self.worker = worker
        self._http = http
        self._gateway_url = gateway_url

    async def answers(self, key: Presented) -> tuple[int, int]:
        """Return the statuses of both for a key; 0 where nobody listens."""
        headers = {"Authorization": f"Bearer {key.text}", "Content-Type": "application/x-ndjson"}
        posted = f"{self._gateway_url}/v1/tenants/t1/campaigns?dry_run=1"
        return (
            await self._status("GET", f"{self.worker.url}/v1/tenants/t1/campaigns", headers, None),
            await self._status("POST", posted, headers, ITEM),
        )

    async def until(self, key: Presented, wanted: int, within_seconds: float) -> float:
        """Wait until both answer so; return the seconds that took. Raises AssertionError."""
        began_s = time.monotonic()
        while (found := await self.answers(key)) != (wanted, wanted):
            assert time.monotonic() - began_s < within_seconds, f"{found} after {within_seconds} s"
            await asyncio.sleep(0.02)
        return time.monotonic() - began_s

    async def _status(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> int:
        try:
            async with self._http.request(method, url, headers=headers, data=body) as response:
                return response.status
        except aiohttp.ClientConnectionError:
            return 0


@asynccontextmanager
async def doors(environment: dict[str, str], folder: Path) -> AsyncIterator[Doors]:
    two = environment | {variable("processes"): "2"}
    with workers(two, folder, "w") as (worker,):
        worker.start()
        async with gateway(environment, folder / "gateway.log") as running:
            yield Doors(running.http, worker, running.url)


async def flicker(between: Wire, both: Doors, held: Presented) -> None:
    """Let brokers go away again and again, for ever longer there, until both know a key."""
    for round_ in count():
        between.mend()
        await asyncio.sleep(0.2 * 1.15**round_)
        if await both.answers(held) == (200, 200):
            return
        assert round_ < MOST_ROUNDS
        between.cut()
        await asyncio.sleep(0.1)


async def test_known_keys_hold_while_kafka_is_away_and_nobody_is_let_in_before_any_is_known(
    tmp_path: Path,
) -> None:
    port, ahead, behind = (free_port(0) for _ in range(3))
    settings = load(environment_of(f"{LOOPBACK}:{port}", NO_POSTGRES, "k-"))
    environment = environment_of(f"{LOOPBACK}:{ahead}", NO_POSTGRES, "k-")
    never_made = managing.new_key()
    async with wire(ahead, behind) as between, doors(environment, tmp_path) as both:
        # Started before its brokers: the worker's parent listens at once, and knows no key.
        await both.until(never_made, 503, STARTED_SECONDS)

        between.cut()
        kafka = await asyncio.to_thread(wired_kafka(((ahead, behind),)).start, tmp_path / "servers", port)
        try:
            await topics.declare(settings)
            held = await managing.add(settings, SCOPES, ("t1",), 1)
            revoked = await managing.add(settings, SCOPES, ("t1",), 1)
            # Away also while its processes start: else one that has keys would end with one that has none.
            await flicker(between, both, held)
            await both.until(revoked, 200, IN_FORCE_SECONDS)
            await managing.revoke(settings, revoked.key_id, 2)
            assert await both.until(revoked, 401, IN_FORCE_SECONDS) <= IN_FORCE_SECONDS

            await asyncio.to_thread(kafka.kill)
            until_s = time.monotonic() + AWAY_SECONDS
            seen = set()
            while time.monotonic() < until_s:
                seen.add(tuple([await both.answers(key) for key in (held, revoked, never_made)]))
            assert seen == {((200, 200), (401, 401), (401, 401))}

            await asyncio.to_thread(kafka.restart)
            late = await managing.add(settings, SCOPES, ("t1",), 3)
            assert await both.until(late, 200, IN_FORCE_SECONDS) <= IN_FORCE_SECONDS
            await managing.revoke(settings, held.key_id, 3)
            assert await both.until(held, 401, IN_FORCE_SECONDS) <= IN_FORCE_SECONDS
            await both.worker.ready()
        finally:
            await asyncio.to_thread(kafka.stop)
