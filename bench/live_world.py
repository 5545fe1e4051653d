"""`python -m bench.live_world CAMPAIGNS`: a process that serves a made-up world which moves each second."""

import asyncio
import random
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from tally.agents.clock import unix_ms
from tally.streams.runtime.descriptors import raise_descriptors
from tests.support.page_worlds import fill, move
from tests.support.web_api import serving

SERVED = "served"
READY_SECONDS = 60.0


class Served(Struct, frozen=True):
    """A process that serves a world, as a view with its own core would."""

    pid: int
    port: int


@asynccontextmanager
async def served(campaigns: int) -> AsyncIterator[Served]:
    """Serve so many campaigns of one tenant from a process of its own; each changes each second."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.live_world", str(campaigns), stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            port = int((await process.stdout.readline()).split()[1])
        yield Served(process.pid, port)
    finally:
        process.kill()
        await process.wait()


async def _serve(campaigns: int) -> None:
    """Serve until killed."""
    raise_descriptors()
    rng = random.Random(20)
    async with serving(debug=False) as api:
        world = fill(api.view, rng, campaigns, api.now_ms)
        api.catch_up_to(world.transaction)
        sys.stdout.write(f"{SERVED} {api.port}\n")
        sys.stdout.flush()
        while True:
            move(api.view, world, rng, unix_ms(), len(world.rows))
            api.catch_up_to(world.transaction)
            await asyncio.sleep(1.0)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
