"""Laws of the room for bodies: what is here is bounded, and what comes slowly makes room for others."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.streams.gateway.room import YIELDS_SECONDS, NoRoom, Room, Share

MOST = 10
BODIES = 4


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def now(self) -> float:
        return self.s


class Bodies:
    """Some bodies that begin to come one after the other, and what is left of each."""

    def __init__(self, closing: ExitStack, count: int, pause_seconds: float = 0.0) -> None:
        self.clock = Clock()
        self.room = Room(MOST, self.clock.now)
        self.shares = [Share(self.room) for _ in range(count)]
        self.dropped: list[int] = []
        for number, share in enumerate(self.shares):
            closing.enter_context(self.room.yielding(share, self._drop(number)))
            self.clock.s += pause_seconds

    def _drop(self, number: int) -> Callable[[], None]:
        return lambda: self.dropped.append(number)


def test_a_body_takes_what_has_come_of_it_until_its_answer() -> None:
    room = Room(MOST, Clock().now)
    with Share(room) as share:
        share.grow_to(3)
        share.grow_to(2)
        share.grow_to(MOST)
        assert (room.used_bytes, share.bytes) == (MOST, MOST)
        with pytest.raises(NoRoom):
            Share(room).grow_to(1)
    assert room.used_bytes == 0


def test_the_body_that_has_been_coming_for_longest_makes_room_once_that_took_a_second() -> None:
    with ExitStack() as closing:
        bodies = Bodies(closing, 3, pause_seconds=0.1)
        for share in bodies.shares:
            share.grow_to(3)
        bodies.clock.s = 100.0 + YIELDS_SECONDS - 0.01
        whole = Share(bodies.room)
        with pytest.raises(NoRoom):
            whole.grow_to(4)
        bodies.clock.s = 100.0 + YIELDS_SECONDS
        whole.grow_to(4)
        assert (bodies.dropped, bodies.room.used_bytes) == ([0], 10)
        with pytest.raises(NoRoom):
            bodies.shares[0].grow_to(1)


def test_no_body_makes_room_for_itself_and_one_that_is_there_whole_for_nobody() -> None:
    with ExitStack() as closing:
        bodies = Bodies(closing, 1)
        bodies.clock.s += 60
        whole = Share(bodies.room)
        whole.grow_to(6)
        with pytest.raises(NoRoom):
            bodies.shares[0].grow_to(5)
        assert (bodies.dropped, whole.is_taken) == ([], False)


def test_a_body_whose_room_was_taken_is_never_taken_for_whole() -> None:
    clock = Clock()
    room = Room(MOST, clock.now)
    slow, dropped = Share(room), list[int]()

    def come() -> None:
        with slow.coming(lambda: dropped.append(1)):
            slow.grow_to(9)
            clock.s += YIELDS_SECONDS
            Share(room).grow_to(MOST)

    with pytest.raises(NoRoom):
        come()
    assert (dropped, slow.is_taken, slow.bytes) == ([1], True, 0)


STEPS = st.lists(
    st.tuples(st.integers(0, BODIES - 1), st.integers(0, MOST), st.sampled_from((0.0, 0.4, 1.0))), max_size=30
)


@given(STEPS)
def test_all_bytes_are_counted_and_never_more_than_there_is_room_for(
    steps: list[tuple[int, int, float]],
) -> None:
    with ExitStack() as closing:
        bodies = Bodies(closing, BODIES)
        for number, size_bytes, seconds in steps:
            share = bodies.shares[number]
            bodies.clock.s += seconds
            before = share.bytes
            try:
                share.grow_to(size_bytes)
            except NoRoom:
                assert share.bytes == before
            else:
                assert share.bytes == max(before, size_bytes)
            assert bodies.room.used_bytes == sum(one.bytes for one in bodies.shares) <= MOST
        taken = [number for number, share in enumerate(bodies.shares) if share.is_taken]
        assert sorted(bodies.dropped) == taken
        assert all(bodies.shares[number].bytes == 0 for number in taken)
