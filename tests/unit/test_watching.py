"""What agents report becomes a pulse: work that waits, and when some was last done."""

from tally.streams.health import Pulse, live
from tally.streams.metrics import Metrics
from tally.streams.watching import Watch


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def watch_at(clock: Clock) -> Watch:
    return Watch(Metrics("test"), clock, clock)


def test_a_role_without_work_has_no_pulse() -> None:
    watch = watch_at(Clock())
    watch.rebalanced("fold", 4)

    assert watch.pulses() == {}


def test_work_waits_from_when_it_was_handed_over_until_it_is_done() -> None:
    clock = Clock()
    watch = watch_at(clock)
    watch.delivered("route")
    clock.now_s = 130.0
    watch.delivered("route")

    assert watch.pulses() == {"route": Pulse(100.0, 100.0)}
    assert not live(watch.pulses(), 130.0, 130.0, stuck_seconds=20.0).is_ok

    watch.finished("route")
    assert watch.pulses() == {"route": Pulse(100.0, 130.0)}

    watch.finished("route")
    assert watch.pulses() == {}


def test_what_was_under_way_at_a_rebalance_is_no_longer_waited_for() -> None:
    watch = watch_at(Clock())
    watch.delivered("fold")
    watch.let_go("fold")

    assert watch.pulses() == {}
