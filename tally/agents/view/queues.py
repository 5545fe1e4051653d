"""Queues as JSON objects: who waits now, what became of all who joined, and the service level. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tally.agents.view.answer import Json, rfc_3339
from tally.agents.view.waiting import QueueNow
from tally.schemas.bounds import QUEUES_SHOWN
from tally.tables.pieces import Steps

WHATS = ("joins", "connects", "abandoned", "timeouts", "ring_no_answer", "wait_ms", "talk_ms", "hold_ms")
"""What a queue counts, as the keys of the counter `queues` call it."""
ENDS = ("connects", "abandoned", "timeouts")


def waiting_answer(queues: Iterable[QueueNow]) -> list[Json]:
    """Return the queues of PBXs in which somebody waits, how many, and since when the first of them."""
    return [
        {"pbx": one.pbx, "queue": one.queue, "waiting": one.waiting, "since": rfc_3339(one.since_ms)}
        for one in queues
    ]


class QueuesPage(Struct, frozen=True):
    """A page of queues, and the queue after which the next page begins."""

    shown: list[Json]
    following: str | None


class _Queue(Struct):
    """What is known of one queue."""

    numbers: dict[str, int]
    waited: dict[int, int]
    """Connected joins by the seconds that they had waited."""
    now: list[QueueNow]


def queue_answers(
    counts: Mapping[str, int],
    waits: Mapping[str, int],
    now: Sequence[QueueNow],
    thresholds: Sequence[int],
    now_ms: int,
    after: str | None = None,
    limit: int = QUEUES_SHOWN.most,
) -> Steps[QueuesPage]:
    """Return a page of a tenant's queues, by name, of those behind `after`.

    `counts` are the entries of the counter `queues` and `waits` those of `queue_waits`, of all campaigns: the
    name of a queue may have a slash. `thresholds` are in seconds.
    """
    queues: dict[str, _Queue] = {}

    def queue(name: str) -> _Queue:
        return queues.setdefault(name, _Queue({}, {}, []))

    for key, number in counts.items():
        name, _, what = key.rpartition("/")
        queue(name).numbers[what] = number
        yield
    for key, number in waits.items():
        name, _, seconds = key.rpartition("/")
        queue(name).waited[int(seconds)] = number
        yield
    for one in now:
        queue(one.queue).now.append(one)
    names = sorted(name for name in queues if after is None or name > after)
    page = names[:limit]
    shown = []
    for name in page:
        shown.append(_answer(name, queues[name], thresholds, now_ms))
        yield
    return QueuesPage(shown, page[-1] if len(names) > limit else None)


def _answer(name: str, queue: _Queue, thresholds: Sequence[int], now_ms: int) -> Json:
    numbers = {what: queue.numbers.get(what, 0) for what in WHATS}
    since_ms = min((one.since_ms for one in queue.now), default=None)
    return {
        "queue": name,
        "waiting": sum(one.waiting for one in queue.now),
        "since": None if since_ms is None else rfc_3339(since_ms),
        "longest_wait_ms": None if since_ms is None else max(now_ms - since_ms, 0),
        "pbxs": [
            {"pbx": one.pbx, "waiting": one.waiting, "since": rfc_3339(one.since_ms)} for one in queue.now
        ],
        "counts": numbers,
        "service_level": [_service_level(threshold, queue.waited, numbers) for threshold in thresholds],
    }


def _service_level(threshold: int, waited: Mapping[int, int], numbers: Mapping[str, int]) -> Json:
    """Return the share of ended joins that were connected after less than a threshold of seconds."""
    within = sum(n for seconds, n in waited.items() if seconds < threshold)
    ended = sum(numbers[end] for end in ENDS)
    return {
        "threshold_seconds": threshold,
        "connects": within,
        "of": ended,
        "value": within / ended if ended else None,
    }
