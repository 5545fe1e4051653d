"""A name that does not resolve delays only its own PBX."""

import asyncio
import threading

import pytest

from tally.streams.ami.connection import Addresses

pytestmark = pytest.mark.asyncio


async def test_a_lookup_that_hangs_is_waited_for_again_and_not_begun_twice() -> None:
    answer, lookups = threading.Event(), []

    def slow(host: str) -> list[str]:
        lookups.append(host)
        answer.wait(10)
        return ["192.0.2.1"]

    addresses = Addresses(slow)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await addresses.resolve("pbx01")
    answer.set()

    assert await addresses.resolve("pbx01") == ["192.0.2.1"]
    assert lookups == ["pbx01"]


async def test_hanging_lookups_of_many_names_leave_the_loops_own_threads_free() -> None:
    answer = threading.Event()

    def slow(host: str) -> list[str]:
        answer.wait(10)
        return [host]

    waiting = [asyncio.ensure_future(Addresses(slow).resolve(f"pbx{n}")) for n in range(50)]
    await asyncio.sleep(0.05)

    assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 2) == 7
    answer.set()
    assert await asyncio.gather(*waiting) == [[f"pbx{n}"] for n in range(50)]


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "name.invalid"])
async def test_what_is_no_name_is_an_error_of_the_connection(host: str) -> None:
    def refuse(name: str) -> list[str]:
        if name.endswith(".invalid"):
            raise OSError("no such name")
        return [name.encode("idna").decode()]

    with pytest.raises(OSError, match="cannot be resolved"):
        await Addresses(refuse).resolve(host)
