"""The health of a worker names the process that is not well, and says why."""

import pytest

from tally.streams.processes.state import START_SECONDS, State, live, ready

FINE = State("view")


@pytest.mark.parametrize(
    ("state", "alive", "is_ready"),
    [
        (State("route"), None, None),
        (State("route", ("route: work waits",)), "route: work waits", "route: work waits"),
        (State("route", None), "does not answer", "does not answer"),
        (State("route", starting_s=3.0), None, "has been starting for 3 s"),
        (
            State("route", starting_s=START_SECONDS),
            "has been starting for 120 s",
            "has been starting for 120 s",
        ),
        (State("route", code=-9), "has ended with 137", "has ended with 137"),
    ],
)
def test_a_worker_is_as_well_as_the_worst_of_its_processes(
    state: State, alive: str | None, is_ready: str | None
) -> None:
    assert live([state, FINE]).reasons == (() if alive is None else (f"process route: {alive}",))
    assert ready([FINE, state], stopping=False).reasons == (
        () if is_ready is None else (f"process route: {is_ready}",)
    )


def test_a_worker_that_stops_is_alive_and_not_ready() -> None:
    assert live([FINE]).is_ok
    assert ready([FINE], stopping=True).reasons == ("the worker is stopping",)
