"""Laws of the order of campaigns by last activity."""

from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.recent import Rank, Recent

# More campaigns than REBUILD_SHARE, so that both ways of settling are taken.
NAMES = st.integers(0, 60).map(lambda n: f"c{n}")
MOVES = st.tuples(NAMES, st.none() | st.integers(0, 50))
BURSTS = st.lists(st.lists(MOVES, max_size=40), max_size=8)


def ordered(known: dict[str, int]) -> list[Rank]:
    return sorted(Rank(-last_ms, name) for name, last_ms in known.items())


@given(BURSTS)
def test_the_order_is_that_of_sorting_whatever_moved_between_two_readings(
    bursts: list[list[tuple[str, int | None]]],
) -> None:
    recent, known = Recent(), {f"c{n}": n for n in range(40)}
    for name, last_ms in known.items():
        recent.move(name, last_ms)
    for burst in bursts:
        for name, moved_to in burst:
            if moved_to is None:
                recent.remove(name)
                known.pop(name, None)
            else:
                recent.move(name, moved_to)
                known[name] = moved_to
        assert list(recent.after(None)) == ordered(known)


@given(st.dictionaries(NAMES, st.integers(0, 9)), st.integers(0, 9), NAMES)
def test_what_follows_a_place_need_not_have_that_place(
    known: dict[str, int], last_ms: int, name: str
) -> None:
    recent = Recent()
    for campaign, at in known.items():
        recent.move(campaign, at)
    rank = Rank(-last_ms, name)
    assert list(recent.after(rank)) == [found for found in ordered(known) if found > rank]


def test_nothing_is_ordered_before_something_came() -> None:
    assert list(Recent().after(None)) == []
