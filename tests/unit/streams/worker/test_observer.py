"""The observer turns agents' reports into a pulse: waiting work, and the time of the last progress."""

from tally.streams.runtime.health import Pulse, Readiness, live, ready
from tally.streams.worker.metrics import Metrics
from tally.streams.worker.observer import WorkerObserver


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def observer_at(clock: Clock) -> WorkerObserver:
    return WorkerObserver(Metrics("test"), clock, clock)


def test_a_role_without_work_has_no_pulse_however_long_it_is_idle() -> None:
    clock = Clock()
    observer = observer_at(clock)
    observer.follow("fold", lambda: 0)
    clock.now_s += 3600

    assert observer.pulses() == {}


def test_work_waits_from_when_the_role_was_last_idle_until_some_is_done() -> None:
    clock, under_way = Clock(), [0]
    observer = observer_at(clock)
    observer.follow("sink", lambda: under_way[0])
    clock.now_s = 130.0
    observer.beat()
    under_way[0] = 2
    clock.now_s = 160.0
    observer.beat()

    assert observer.pulses() == {"sink": Pulse(130.0, 130.0)}
    assert not live(observer.pulses(), 160.0, stuck_seconds=20.0).is_ok

    observer.written({"rows": 1}, 0.1, {"rows": 0.1})
    assert live(observer.pulses(), 160.0, stuck_seconds=20.0).is_ok


def test_runs_that_a_seek_or_a_revoke_made_useless_are_no_longer_waited_for() -> None:
    """What is under way is asked of the transport each time, never counted beside it."""
    clock, under_way = Clock(), [3]
    observer = observer_at(clock)
    observer.follow("fold", lambda: under_way[0])
    under_way[0] = 0
    clock.now_s += 3600

    assert live(observer.pulses(), clock.now_s, stuck_seconds=20.0).is_ok


def test_a_fold_that_opens_its_tables_is_not_judged_by_the_facts_that_wait_for_it() -> None:
    """Such a fold has no run that should make progress; once it is open its time begins."""
    clock, under_way = Clock(), [0]
    observer = observer_at(clock)
    observer.follow("fold", lambda: under_way[0])
    clock.now_s += 120
    observer.beat()
    assert observer.pulses() == {}

    under_way[0] = 1
    assert live(observer.pulses(), clock.now_s + 19, stuck_seconds=20.0).is_ok
    assert not live(observer.pulses(), clock.now_s + 21, stuck_seconds=20.0).is_ok


def test_an_opening_says_how_much_is_left_and_when_it_will_be_done() -> None:
    now_s = 100.0
    observer = WorkerObserver(Metrics("test"), lambda: now_s, lambda: 0.0)
    assert (observer.offsets_to_open, observer.opening_left_seconds()) == (0, None)
    observer.opening(0, 0, 1_000)
    assert observer.opening_left_seconds() is None
    now_s = 110.0
    observer.opening(0, 250, 1_000)
    observer.opening(1, 10, 10)

    assert observer.offsets_to_open == 750
    assert observer.opening_left_seconds() == 30.0
    assert ready(
        Readiness(1, 1, 2, 0.0, opening_left_seconds=observer.opening_left_seconds()), 2.0
    ).reasons == ("fold: 2 partitions are being recovered, those that are read now for another 30 s",)
    observer.opened(0, 1.0, 1)
    assert observer.offsets_to_open == 0
