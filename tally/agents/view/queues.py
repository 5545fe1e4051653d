"""Queues as JSON objects: who waits now, what became of all who joined, and the service level. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tally.agents.view.answer import Json, rfc_3339, shaped
from tally.agents.view.campaign import Campaign, QueueCounts
from tally.agents.view.waiting import QueueNow
from tally.schemas.bounds import QUEUES_SHOWN
from tally.tables.pieces import Steps

WHATS = ("joins", "connects", "abandoned", "timeouts", "ring_no_answer", "wait_ms", "talk_ms", "hold_ms")
"""What a queue counts, as the keys of the counter `queues` call it."""
ENDS = ("connects", "abandoned", "timeouts")
COUNTERS_OF_QUEUES = ("queues", "queue_waits")


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


class QueuesQuery(Struct, frozen=True):
    """Which queues are asked for."""

    thresholds: Sequence[int]
    """Of service levels, in seconds."""
    after: str | None = None
    """The queue after which the page begins."""
    limit: int = QUEUES_SHOWN.most


class _Queue(Struct):
    """What is known of one queue."""

    numbers: dict[str, int]
    waited: dict[int, int]
    """Connected joins by the seconds that they had waited."""
    now: list[QueueNow]


def queue_counts(campaign: Campaign) -> Steps[Mapping[str, Mapping[str, int]]]:
    """Return what a campaign counts of queues: the entries of the counters `queues` and `queue_waits`."""
    look = yield from campaign.looking(with_totals=True)
    if campaign.queues is None or campaign.queues.version != look.version:
        campaign.queues = QueueCounts(look.version, shaped(look.totals.counts, COUNTERS_OF_QUEUES))
    return campaign.queues.counts


def queues_page(
    counts: Mapping[str, Mapping[str, int]], now: Sequence[QueueNow], query: QueuesQuery, now_ms: int
) -> Steps[QueuesPage]:
    """Return a page of a tenant's queues by name, from what all its campaigns count, and who waits now."""
    queues: dict[str, _Queue] = {}

    def queue(name: str) -> _Queue:
        return queues.setdefault(name, _Queue({}, {}, []))

    # The name of a queue may have a slash.
    for key, number in counts["queues"].items():
        name, _, what = key.rpartition("/")
        queue(name).numbers[what] = number
        yield
    for key, number in counts["queue_waits"].items():
        name, _, seconds = key.rpartition("/")
        queue(name).waited[int(seconds)] = number
        yield
    for one in now:
        queue(one.queue).now.append(one)
    names = sorted(name for name in queues if query.after is None or name > query.after)
    page = names[: query.limit]
    shown = []
    for name in page:
        shown.append(_answer(name, queues[name], query.thresholds, now_ms))
        yield
    return QueuesPage(shown, page[-1] if len(names) > query.limit else None)


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
