"""Which faults strike, and when. Pure."""

from itertools import pairwise
from random import Random
from typing import Literal

from msgspec import Struct

Kind = Literal["kill", "terminate", "pause", "wipe", "postgres", "broker"]

WEIGHTS: dict[Kind, int] = {"kill": 10, "terminate": 3, "pause": 1, "wipe": 2, "postgres": 2, "broker": 1}
LEFT_AT_LEAST = 0.2
"""A fault counts only if it strikes while so much of the work is left."""


class Strike(Struct, frozen=True):
    """One fault: it strikes while records [first, last) are being published."""

    kind: Kind
    worker: int
    first: int
    last: int
    after_seconds: float


def plan(rng: Random, records: int, faults: int, kills: int, workers: int) -> list[Strike]:
    """Return faults spread over the records, `kills` of them kills, and every kind at least once."""
    kinds: list[Kind] = ["kill"] * kills
    others = [kind for kind in WEIGHTS if kind != "kill"]
    kinds += others[: max(faults - kills, 0)]
    weights = [WEIGHTS[kind] for kind in others]
    kinds += rng.choices(others, weights, k=max(faults - len(kinds), 0))
    rng.shuffle(kinds)
    struck = int(records * (1 - LEFT_AT_LEAST))
    bounds = [struck * i // len(kinds) for i in range(len(kinds) + 1)]
    return [
        Strike(kind, rng.randrange(workers), first, last, rng.uniform(0.0, 1.0))
        for kind, (first, last) in zip(kinds, pairwise(bounds), strict=True)
    ]
