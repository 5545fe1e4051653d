"""The law of `as_of`: the view's numbers include everything that reached the raw topics before it."""

from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tally.agents.lag.tracker import MAX_SAMPLES, LagTracker, Moment, RawPartition

PLACES = (RawPartition("webhook-events", 0, "w1"), RawPartition("send-results", 0, "s1"))
FACTS_PARTITIONS = 2


class RawRecord(NamedTuple):
    number: int
    at_ms: int
    facts_partitions: tuple[int, ...]


class Pipeline(RuleBasedStateMachine):
    """Producers, route, fold with the view and the lag loop, in any interleaving, with crashes and outages.

    Each reading of an end or an offset is a step of its own: Kafka answers for no two partitions at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1_000_000
        self.raw: dict[RawPartition, list[RawRecord]] = {place: [] for place in PLACES}
        self.routed = dict.fromkeys(PLACES, 0)
        self.committed: dict[RawPartition, int] = {}
        self.facts: list[list[RawRecord]] = [[] for _ in range(FACTS_PARTITIONS)]
        self.viewed = dict.fromkeys(range(FACTS_PARTITIONS), 0)
        self.tracker = LagTracker()
        self.begins = dict.fromkeys(PLACES, 0)
        self.gone = dict.fromkeys(PLACES, 0)
        """How many of a place's records are no longer there."""
        self.poll = self._poll()
        self.last_asked: Moment | None = None

    @initialize(begin=st.sampled_from([0, 5]))
    def begin(self, begin: int) -> None:
        # Everything before `begin` was deleted by retention before this generation began.
        self.begins = dict.fromkeys(PLACES, begin)

    @rule(
        place=st.sampled_from(PLACES),
        facts_partitions=st.sampled_from([[0], [1], []]),
    )
    def produce(self, place: RawPartition, facts_partitions: list[int]) -> None:
        number = sum(map(len, self.raw.values()))
        self.raw[place].append(RawRecord(number, self.now_ms, tuple(facts_partitions)))
        self.now_ms += 1

    @rule(place=st.sampled_from(PLACES), records=st.integers(1, 4))
    def retention_deletes(self, place: RawPartition, records: int) -> None:
        self.gone[place] = min(len(self.raw[place]), self.gone[place] + records)

    @rule(place=st.sampled_from(PLACES))
    def route_appends(self, place: RawPartition) -> None:
        unread = self.raw[place][self.routed[place] :]
        lost = unread[: max(0, self.gone[place] - self.routed[place])]
        # That they are gone is a fact as well.
        self.facts[0] += lost
        for record in unread[len(lost) :]:
            for partition in record.facts_partitions:
                self.facts[partition].append(record)
        self.routed[place] = len(self.raw[place])

    @rule(place=st.sampled_from(PLACES))
    def route_commits(self, place: RawPartition) -> None:
        self.committed[place] = self.begins[place] + self.routed[place]

    @rule(place=st.sampled_from(PLACES))
    def route_is_killed(self, place: RawPartition) -> None:
        self.routed[place] = self.committed.get(place, self.begins[place]) - self.begins[place]

    @rule(partition=st.integers(0, FACTS_PARTITIONS - 1), records=st.integers(1, 3))
    def fold_counts_and_the_view_reads(self, partition: int, records: int) -> None:
        end = len(self.facts[partition])
        self.viewed[partition] = min(end, self.viewed[partition] + records)

    @rule(steps=st.integers(1, 3))
    def poll_goes_on(self, steps: int) -> None:
        for _ in range(steps):
            next(self.poll)

    @rule()
    def poll_is_cut_off(self) -> None:
        self.poll = self._poll()

    @invariant()
    def what_was_there_before_as_of_is_counted(self) -> None:
        as_of = self.tracker.as_of(self.viewed)
        if as_of is None:
            return
        counted = {p: set(facts[: self.viewed[p]]) for p, facts in enumerate(self.facts)}
        for records in self.raw.values():
            for record in records:
                if record.at_ms < as_of.unix_ms:
                    is_counted = all(record in counted[p] for p in record.facts_partitions)
                    assert is_counted or record in counted[0]

    @invariant()
    def lag_is_never_negative(self) -> None:
        assert min(self.tracker.lag_records(self.viewed).values()) >= 0

    def teardown(self) -> None:
        """Once everything has come through, the next poll is the moment that is counted."""
        for place in PLACES:
            self.route_appends(place)
            self.route_commits(place)
        self.viewed = {p: len(facts) for p, facts in enumerate(self.facts)}
        self.poll = self._poll()
        self.poll_goes_on(20)
        assert self.tracker.as_of(self.viewed) == self.last_asked
        assert set(self.tracker.lag_records(self.viewed).values()) == {0}

    def _poll(self) -> Iterator[None]:
        while True:
            asked_at = self.last_asked = Moment(self.now_ms / 1000, self.now_ms)
            ends: dict[RawPartition, int] = {}
            for place in PLACES:
                yield
                ends[place] = self.begins[place] + len(self.raw[place])
            self.tracker.note_ends(asked_at, ends)
            committed: dict[RawPartition, int] = {}
            for place in PLACES:
                yield
                if place in self.committed:
                    committed[place] = self.committed[place]
            self.tracker.note_committed(committed)
            facts_ends: dict[int, int] = {}
            for partition, facts in enumerate(self.facts):
                yield
                facts_ends[partition] = len(facts)
            self.tracker.note_facts_ends(facts_ends)
            yield


Pipeline.TestCase.settings = settings(max_examples=200, stateful_step_count=100, deadline=None)
TestPipeline = Pipeline.TestCase

PLACE = PLACES[0]


def moment(second: int) -> Moment:
    return Moment(float(second), 1_795_000_000_000 + second * 1000)


def poll(tracker: LagTracker, second: int, end: int, committed: int, facts_end: int) -> None:
    tracker.note_ends(moment(second), {PLACE: end})
    tracker.note_committed({PLACE: committed})
    tracker.note_facts_ends({0: facts_end})


def test_nothing_is_known_before_the_first_poll() -> None:
    tracker = LagTracker()
    assert tracker.as_of({}) is None
    assert tracker.lag_records({}) == {"facts": 0}


def test_a_moment_counts_only_once_route_and_then_the_view_have_reached_it() -> None:
    tracker = LagTracker()
    poll(tracker, 1, end=10, committed=9, facts_end=20)
    assert tracker.as_of({0: 20}) is None
    poll(tracker, 2, end=11, committed=10, facts_end=21)
    assert tracker.as_of({0: 20}) is None
    assert tracker.as_of({0: 21}) == moment(1)


def test_facts_ends_from_before_the_commit_was_seen_prove_nothing() -> None:
    tracker = LagTracker()
    poll(tracker, 1, end=10, committed=0, facts_end=0)
    tracker.note_committed({PLACE: 10})
    assert tracker.as_of({0: 0}) is None
    tracker.note_facts_ends({0: 5})
    assert tracker.as_of({0: 0}) is None
    assert tracker.as_of({0: 5}) == moment(1)


def test_as_of_stays_while_kafka_is_away_and_when_progress_falls_back() -> None:
    tracker = LagTracker()
    poll(tracker, 1, end=1, committed=1, facts_end=1)
    assert tracker.as_of({0: 1}) == moment(1)
    assert tracker.as_of({}) == moment(1)


def test_postgres_is_known_to_hold_a_moment_that_the_view_reached_long_before() -> None:
    tracker = LagTracker()
    for second in range(1, 4):
        poll(tracker, second, end=second, committed=second, facts_end=second)
        assert tracker.as_of({0: second}) == moment(second)
    assert tracker.as_of_written({0: 0}) is None
    assert tracker.as_of_written({0: 2}) == moment(2)
    assert tracker.as_of_written({0: 2}) == moment(2)


def test_what_was_known_of_postgres_is_void_once_a_dump_is_restored() -> None:
    tracker = LagTracker()
    poll(tracker, 1, end=5, committed=5, facts_end=5)
    assert tracker.as_of_written({0: 5}) == moment(1)
    assert tracker.as_of_written({0: 4}) is None
    poll(tracker, 2, end=5, committed=5, facts_end=5)
    assert tracker.as_of_written({0: 5}) == moment(2)


def test_an_idle_pipeline_is_as_fresh_as_its_last_poll() -> None:
    tracker = LagTracker()
    for second in range(5):
        poll(tracker, second, end=10, committed=10, facts_end=7)
    assert tracker.as_of({0: 7}) == moment(4)


def test_a_raw_partition_that_route_has_not_begun_to_read_is_not_caught_up_though_it_is_empty() -> None:
    tracker = LagTracker()
    poll(tracker, 1, end=0, committed=0, facts_end=0)
    assert tracker.as_of({0: 0}) == moment(1)
    tracker.note_ends(moment(2), {PLACE: 0})
    tracker.note_committed({})
    tracker.note_facts_ends({0: 0})
    assert tracker.as_of({0: 0}) == moment(1)


def test_what_was_committed_in_a_topic_of_the_same_name_says_nothing() -> None:
    tracker, anew = LagTracker(), PLACE._replace(topic_id="w2")
    tracker.note_ends(moment(1), {PLACE: 7})
    tracker.note_committed({anew: 9})
    tracker.note_facts_ends({0: 0})
    assert tracker.as_of({0: 0}) is None
    tracker.note_ends(moment(2), {anew: 9})
    tracker.note_committed({anew: 9})
    tracker.note_facts_ends({0: 0})
    assert tracker.as_of({0: 0}) == moment(2)


@given(st.integers(1, 3 * MAX_SAMPLES))
@settings(deadline=None)
def test_a_long_stall_is_remembered_in_bounded_memory_and_ends_at_the_newest_moment(polls: int) -> None:
    tracker = LagTracker()
    for second in range(polls):
        poll(tracker, second, end=second + 1, committed=0, facts_end=0)
        assert len(tracker._arrived._samples) <= MAX_SAMPLES
    tracker.note_committed({PLACE: polls})
    tracker.note_facts_ends({0: 3})
    assert tracker.as_of({0: 3}) == moment(polls - 1)


def test_lag_is_counted_by_topic() -> None:
    tracker = LagTracker()
    tracker.note_ends(moment(1), {PLACE: 10, PLACE._replace(partition=1): 5, PLACES[1]: 7})
    tracker.note_committed({PLACE: 4, PLACE._replace(partition=1): 5})
    tracker.note_facts_ends({0: 100, 1: 50})
    assert tracker.lag_records({0: 90}) == {"webhook-events": 6, "send-results": 7, "facts": 60}
