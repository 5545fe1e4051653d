"""Laws of the compute gate, by which long computations of one event loop take turns."""

import asyncio

import pytest

from tally.agents.compute_gate import HOLD_SECONDS, TURN_SECONDS, YIELDS_BETWEEN, Computation, ComputeGate

pytestmark = pytest.mark.asyncio


async def test_whoever_waits_for_an_answer_runs_between_two_computations() -> None:
    gate, order = ComputeGate(), list[str]()

    async def compute(name: str) -> None:
        await gate.enter()
        order.append(name)
        asyncio.get_running_loop().call_soon(order.append, f"answer after {name}")

    async with asyncio.timeout(5):
        await asyncio.gather(compute("one"), compute("two"), compute("three"))
        await asyncio.sleep(0)

    assert order == [
        *("one", "answer after one"),
        *("two", "answer after two"),
        *("three", "answer after three"),
    ]


async def test_what_an_answer_sets_off_goes_some_steps_between_two_computations() -> None:
    gate, order = ComputeGate(), list[str]()

    def step(left: int) -> None:
        order.append("step")
        if left > 1:
            asyncio.get_running_loop().call_soon(step, left - 1)

    async def compute(name: str) -> None:
        await gate.enter()
        order.append(name)
        asyncio.get_running_loop().call_soon(step, YIELDS_BETWEEN)

    async with asyncio.timeout(5):
        await asyncio.gather(compute("one"), compute("two"))

    assert order[: YIELDS_BETWEEN + 2] == ["one", *["step"] * YIELDS_BETWEEN, "two"]


async def test_once_the_others_are_done_one_waits_for_nobody() -> None:
    gate, others_ran = ComputeGate(), list[bool]()
    await gate.enter()
    for _ in range(2 * YIELDS_BETWEEN):  # a time would be over at once in a process that stood still
        await asyncio.sleep(0)

    asyncio.get_running_loop().call_soon(others_ran.append, True)
    await gate.enter()
    assert others_ran == []


async def test_one_who_is_cancelled_holds_up_nobody() -> None:
    gate = ComputeGate()
    first, gives_up, goes_on = (asyncio.ensure_future(gate.enter()) for _ in range(3))
    await asyncio.sleep(0)
    gives_up.cancel()

    async with asyncio.timeout(5):
        await goes_on
        await gate.enter()
    assert first.done()
    assert gives_up.cancelled()


async def test_a_computation_goes_on_for_a_while_before_others_have_their_turns() -> None:
    gate, order = ComputeGate(), list[str]()
    now_s = 0.0

    async def compute(name: str, pieces: int) -> None:
        nonlocal now_s
        computation = Computation(gate, lambda: now_s)
        await computation.begin()
        for _ in range(pieces):
            order.append(name)
            now_s += TURN_SECONDS
            asyncio.get_running_loop().call_soon(order.append, "answer")
            await computation.pause()
        computation.end()

    of_a_hold = round(HOLD_SECONDS / TURN_SECONDS)
    async with asyncio.timeout(5):
        await asyncio.gather(compute("one", of_a_hold + 1), compute("two", 1))

    assert order == [*["one", "answer"] * of_a_hold, "two", "answer", "one", "answer"]


async def test_whoever_ends_twice_lets_only_one_have_its_turn() -> None:
    gate = ComputeGate()
    computation, next_ = Computation(gate, lambda: 0.0), Computation(gate, lambda: 0.0)
    await computation.begin()
    computation.end()
    computation.end()
    async with asyncio.timeout(5):
        await next_.begin()
        third = asyncio.ensure_future(gate.acquire())
        for _ in range(3 * YIELDS_BETWEEN):
            await asyncio.sleep(0)
        assert not third.done()
        next_.end()
        await third
