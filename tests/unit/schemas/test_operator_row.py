"""An operator's state is read from a row as it was written, whatever names queues and people have."""

from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.operator_row import (
    LEGS_IN_CALL,
    LEGS_RINGING,
    Membership,
    OperatorState,
    membership_counts,
    read_operator_state,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NUMBERS = st.integers(0, 2**53)
MEMBERSHIPS = st.builds(
    Membership,
    queue=TEXT.filter(bool) | st.sampled_from(["name=Ann", "a/b", "paused=", "status"]),
    status=NUMBERS,
    since_ms=st.integers(1, 2**53),
    in_call=st.integers(0, 1),
    last_call_s=NUMBERS,
    wrapup_s=NUMBERS,
    reason=st.none() | TEXT,
)
STATES = st.builds(
    OperatorState,
    name=TEXT | st.sampled_from(["a/b", "name=x"]),
    memberships=st.lists(MEMBERSHIPS, max_size=4, unique_by=lambda one: one.queue).map(
        lambda several: tuple(sorted(several, key=lambda one: one.queue))
    ),
    legs_in_call=st.integers(0, 3),
    legs_ringing=st.integers(0, 3),
)


def counts_of(state: OperatorState) -> dict[str, int]:
    legs = {LEGS_IN_CALL: state.legs_in_call, LEGS_RINGING: state.legs_ringing}
    return membership_counts(state.name, state.memberships) | {name: n for name, n in legs.items() if n}


@given(STATES)
def test_what_is_written_is_read_back(state: OperatorState) -> None:
    counts = counts_of(state)

    assert read_operator_state(counts) == state
    assert all(count > 0 for count in counts.values())


@given(STATES, st.sampled_from(["memberships.new", "memberships.a/b/c", "memberships.q/new", "new"]))
def test_what_a_later_version_writes_besides_is_passed_over(state: OperatorState, more: str) -> None:
    known = state.memberships if "/new" not in more else (*state.memberships, Membership("q"))
    read = read_operator_state(counts_of(state) | {more: 1})

    assert (read.name, read.legs_in_call, read.legs_ringing) == (
        state.name,
        state.legs_in_call,
        state.legs_ringing,
    )
    assert {one.queue: one for one in read.memberships} == {one.queue: one for one in reversed(known)}


def test_the_counts_of_a_row_are_named_as_they_are_on_disk() -> None:
    member = Membership("sales/1", 2, 3, 1, 4, 5, "lunch")

    assert list(membership_counts("Ann", [member]).items()) == [
        ("memberships.name=Ann", 1),
        ("memberships.sales%2F1/status", 2),
        ("memberships.sales%2F1/since_ms", 3),
        ("memberships.sales%2F1/in_call", 1),
        ("memberships.sales%2F1/last_call_s", 4),
        ("memberships.sales%2F1/wrapup_s", 5),
        ("memberships.sales%2F1/paused=lunch", 1),
    ]
