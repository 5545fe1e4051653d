"""A stop ends every service, also one that lost its cancellation."""

import asyncio

import pytest

from tally.streams.runtime.run import end


@pytest.mark.asyncio
@pytest.mark.parametrize("swallowed", [0, 1, 3])
async def test_a_service_that_takes_a_cancellation_for_another_ends_with_a_later_one(swallowed: int) -> None:
    cancelled = 0

    async def service() -> None:
        nonlocal cancelled
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
                if cancelled > swallowed:
                    raise

    task = asyncio.create_task(service())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(task, again_seconds=0.001)

    assert task.cancelled()
    assert cancelled == swallowed + 1


@pytest.mark.asyncio
async def test_a_service_that_closes_what_it_has_is_given_its_time() -> None:
    closed = False

    async def service() -> None:
        nonlocal closed
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            closed = True

    task = asyncio.create_task(service())
    await asyncio.sleep(0)
    await end(task)

    assert closed
