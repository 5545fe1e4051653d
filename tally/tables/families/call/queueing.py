"""What became of an attempt's customer in queues: joins, and how each of them ended."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from tally.tables.durations import bucket
from tally.tables.families.call.dial_graph import Graph
from tally.tables.families.call.operator_legs import served
from tally.tables.families.call.result import CallResult
from tally.tables.families.call.state import ABANDON, JOIN, UNJOIN, Channel, moment_key
from tally.tables.families.call.timeline import times_by_detail

QUEUED = (JOIN, ABANDON)


class Waiting(Struct, frozen=True, order=True):
    """A caller who waits in a queue at this moment."""

    queue: str
    unique: str
    since_us: int


class Queued(Struct):
    """What became of one attempt in one queue: joins = connects + abandoned + timeouts + waiting."""

    shown: int = 0
    """Joins by the attempt's own channels."""
    wait_ms: int = 0
    connects: int = 0
    abandoned: int = 0
    waiting: int = 0
    waited: list[str] = []
    """The buckets of the durations that those who were connected had waited."""

    @property
    def joins(self) -> int:
        """The joins, never fewer than is known of their ends.

        Whom an attended transfer passes to a queue was put there by the join of another channel.
        """
        return max(self.shown, self.connects + self.abandoned + self.waiting)

    @property
    def timeouts(self) -> int:
        """The joins that ended in any other way: the queue gave up, or nobody saw the end."""
        return self.joins - self.connects - self.abandoned - self.waiting


def queued_by(graph: Graph, result: CallResult) -> dict[str, Queued]:
    """Return what became of an attempt in each queue."""
    found: dict[str, Queued] = {}
    joins: dict[str, list[int]] = {}
    own = list(_own_queued(graph, result))
    for channel in own:
        unjoins, abandons = times_by_detail(channel, UNJOIN), times_by_detail(channel, ABANDON)
        for queue, joined_us in _queue_times(channel, JOIN).items():
            one = found.setdefault(queue, Queued())
            ends = sorted((*unjoins.get(queue, ()), *abandons.get(queue, ())))
            one.shown += len(joined_us)
            one.wait_ms += sum(_wait_ms(channel, ends, at_us) for at_us in joined_us)
            joins.setdefault(queue, []).extend(joined_us)
    for joined in joins.values():
        joined.sort()
    if own:
        for queue, count in Counter(queue for queue, _ in abandons_of(graph, result)).items():
            found.setdefault(queue, Queued()).abandoned = count
    for unique in result.operators:
        if queue := served(graph, unique).queue:
            one = found.setdefault(queue, Queued())
            one.connects += 1
            begun_us, joined = result.connected[unique][0][0], joins.get(queue, [])
            if before := bisect_right(joined, begun_us):
                one.waited.append(bucket((begun_us - joined[before - 1]) // 1_000_000))
    for caller in waiting_of(graph, result) if own else ():
        found[caller.queue].waiting += 1
    return found


def waiting_of(graph: Graph, result: CallResult) -> Iterator[Waiting]:
    """Yield the attempt's channels that wait in a queue at this moment.

    The last join has no end yet, or the queue called a leg that is up and about to be connected: a queue lets
    the caller go before it connects an operator.
    """
    connects: dict[str, int] = {}
    for unique in result.operators:
        queue = served(graph, unique).queue
        connects[queue] = max(connects.get(queue, 0), result.connected[unique][0][0])
    for unique in sorted(result.own & graph.channels.keys()):
        channel = graph.channels[unique]
        if not may_wait(channel):
            continue
        unjoins, abandons = times_by_detail(channel, UNJOIN), times_by_detail(channel, ABANDON)
        called = _called(graph, unique)
        for queue, joined_us in _queue_times(channel, JOIN).items():
            since_us = joined_us[-1]
            ended_us = max(unjoins.get(queue, [0])[-1], abandons.get(queue, [0])[-1])
            is_open = ended_us < since_us or called.get(queue, -1) >= since_us
            if is_open and connects.get(queue, -1) < since_us:
                yield Waiting(queue, unique, since_us)


def may_wait(channel: Channel) -> bool:
    """Return whether a channel joined a queue and is not over: no other one waits."""
    return not channel.is_over and any(key.startswith(JOIN) for key in channel.moments)


def _called(graph: Graph, caller: str) -> dict[str, int]:
    """Return when the last leg that is up, and not over, was called for a caller, by queue."""
    called: dict[str, int] = {}
    for leg in map(graph.channels.__getitem__, graph.dialled_by(caller)):
        if leg.agent is not None and leg.up_us is not None and not leg.is_over:
            called[leg.agent.queue] = max(called.get(leg.agent.queue, 0), leg.first.at_us)
    return called


def abandons_of(graph: Graph, result: CallResult) -> Iterator[tuple[str, int]]:
    """Yield the queue and the time, in microseconds, of each hang-up of the customer in a queue."""
    request = graph.channels[result.leg].request if result.leg else None
    if request is None:
        return
    connects = (result.connected[unique][0][0] for unique in result.operators)
    last_connect = max(connects, default=0)
    for channel in _own_queued(graph, result):
        for queue, given_up_us in _queue_times(channel, ABANDON).items():
            for at_us in given_up_us:
                if request.at_us <= at_us and last_connect <= at_us:
                    yield queue, at_us


def _own_queued(graph: Graph, result: CallResult) -> Iterator[Channel]:
    """Yield the attempt's own channels that joined or abandoned a queue."""
    for unique in sorted(result.own & graph.channels.keys()):
        channel = graph.channels[unique]
        if any(key.startswith(QUEUED) for key in channel.moments):
            yield channel


def _queue_times(channel: Channel, letter: str) -> dict[str, list[int]]:
    """Return the times of a caller's joins or abandons, by queue; those without Timestamp are one."""
    found: dict[str, list[int]] = {}
    for key, times in channel.moments.items():
        if key.startswith(letter):
            moment = moment_key(key)
            if not moment.digest or moment.where not in found or found[moment.where] > times:
                found[moment.where] = times
    return found


def _wait_ms(channel: Channel, ends: list[int], joined_us: int) -> int:
    """Return the milliseconds from a join to the queue's next leave or abandon, else to the hang-up."""
    next_end = bisect_left(ends, joined_us)
    if next_end < len(ends):
        return (ends[next_end] - joined_us) // 1_000
    return max(channel.hangup.at_us - joined_us, 0) // 1_000 if channel.hangup else 0
