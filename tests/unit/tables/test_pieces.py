"""A long computation yields, makes progress whatever the clock says, and ends for good when told to."""

import pytest

from tally.tables.pieces import Steps, at_once, in_pieces

pytestmark = pytest.mark.asyncio


class Enough(Exception):
    """Whoever waited wants no more of it."""


def counting(steps: int, ended: list[int]) -> Steps[int]:
    done = 0
    try:
        while done < steps:
            done += 1
            yield
    finally:
        ended.append(done)
    return done


@pytest.mark.parametrize("second_a_look", [0.0, 0.3, 5.0])
async def test_each_piece_is_a_step_at_least_however_long_one_takes(second_a_look: float) -> None:
    looked, waited, ended = 0, 0, list[int]()

    def now_s() -> float:
        nonlocal looked
        looked += 1
        return looked * second_a_look

    async def between() -> None:
        nonlocal waited
        waited += 1

    assert await in_pieces(counting(9, ended), between, 1.0, now_s) == at_once(counting(9, ended)) == 9
    assert waited == {0.0: 0, 0.3: 2, 5.0: 9}[second_a_look]


async def test_what_is_raised_between_two_pieces_ends_the_computation() -> None:
    ended = list[int]()

    async def between() -> None:
        raise Enough

    with pytest.raises(Enough):
        await in_pieces(counting(9, ended), between, 0.0)
    assert ended == [1]
