"""Queues as JSON objects: who waits now, what became of all who joined, and the service level. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from tally.agents.view.answer import Json, rfc_3339
from tally.agents.view.waiting import QueueNow

WHATS = ("joins", "connects", "abandoned", "timeouts", "ring_no_answer", "wait_ms", "talk_ms", "hold_ms")
"""What a queue counts, as the keys of the counter `queues` call it."""
ENDS = ("connects", "abandoned", "timeouts")


def waiting_answer(queues: Iterable[QueueNow]) -> list[Json]:
    """Return the queues of PBXs in which somebody waits, how many, and since when the first of them."""
    return [
        {"pbx": one.pbx, "queue": one.queue, "waiting": one.waiting, "since": rfc_3339(one.since_ms)}
        for one in queues
    ]


def queue_answers(
    counts: Mapping[str, int],
    waits: Mapping[str, int],
    now: Sequence[QueueNow],
    thresholds: Sequence[int],
    now_ms: int,
) -> list[Json]:
    """Return a tenant's queues, by name.

    `counts` are the entries of the counter `queues` and `waits` those of `queue_waits`, of all campaigns.
    `thresholds` are in seconds.
    """
    names = {key.rpartition("/")[0] for key in (*counts, *waits)} | {one.queue for one in now}
    return [_answer(name, counts, waits, now, thresholds, now_ms) for name in sorted(names)]


def _answer(
    name: str,
    counts: Mapping[str, int],
    waits: Mapping[str, int],
    now: Sequence[QueueNow],
    thresholds: Sequence[int],
    now_ms: int,
) -> Json:
    numbers = {what: counts.get(f"{name}/{what}", 0) for what in WHATS}
    mine = [one for one in now if one.queue == name]
    since_ms = min((one.since_ms for one in mine), default=None)
    prefix = f"{name}/"
    waited = {int(key.removeprefix(prefix)): n for key, n in waits.items() if _is_of(key, name)}
    return {
        "queue": name,
        "waiting": sum(one.waiting for one in mine),
        "since": None if since_ms is None else rfc_3339(since_ms),
        "longest_wait_ms": None if since_ms is None else max(now_ms - since_ms, 0),
        "pbxs": [{"pbx": one.pbx, "waiting": one.waiting, "since": rfc_3339(one.since_ms)} for one in mine],
        "counts": numbers,
        "service_level": [_service_level(threshold, waited, numbers) for threshold in thresholds],
    }


def _is_of(key: str, queue: str) -> bool:
    """Return whether an entry is of a queue; a queue's name may have a slash."""
    return key.rpartition("/")[0] == queue


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
