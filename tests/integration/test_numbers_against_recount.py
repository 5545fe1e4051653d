"""Route and the recount find the same first id of every business number, whatever the topic says."""

import random

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.oracle.recount import begin, copy_numbers, recount
from tally.schemas.errors import BadEvent
from tally.schemas.numbers import Number, check_first, first_of, numbers_of
from tests.support.seeds import seeds

IDS = [f"n{nth}" for nth in range(9)]
KNOWN = st.dictionaries(
    st.sampled_from(IDS), st.builds(Number, st.just("t1"), st.none() | st.sampled_from(IDS))
)


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds((1,)))
async def test_both_find_the_same_first_ids(database: str, seed: int) -> None:
    rng = random.Random(seed)
    connection = await asyncpg.connect(database)
    cycles = 0
    try:
        await begin(connection)
        for _ in range(8):
            known = {one: Number("t1", rng.choice([*IDS, None])) for one in rng.sample(IDS, 6)}
            await connection.execute("DELETE FROM recount.number")
            await copy_numbers(connection, known)
            await recount(connection)
            found = await connection.fetch("SELECT recount.first_id(id) FROM unnest($1::text[]) AS id", IDS)

            assert [row["first_id"] for row in found] == list(map(numbers_of(known).first_id, IDS))
            cycles += sum(first_of(one, known) is None for one in IDS)
    finally:
        await connection.close()
    assert cycles


@given(KNOWN)
def test_a_first_id_is_its_own_first_id(known: dict[str, Number]) -> None:
    numbers = numbers_of(known)

    for one in IDS:
        first = numbers.first_id(one)
        assert numbers.first_id(first) == first
        followed = known.get(first)
        assert first == one or followed is None or followed.successor_of is None


@given(KNOWN, st.sampled_from(IDS), st.sampled_from(IDS))
def test_ids_that_come_back_to_themselves_are_refused(
    known: dict[str, Number], one: str, former: str
) -> None:
    known[one] = Number("t1", successor_of=former)
    if first_of(one, known) is None:
        with pytest.raises(BadEvent, match=r"bad_id at .*successor_of"):
            check_first(one, known)
        assert numbers_of(known).first_id(one) == one
    else:
        check_first(one, known)
        assert numbers_of(known).first_id(one) == numbers_of(known).first_id(former)
