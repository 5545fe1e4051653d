"""All actions of a run under faults, with the capabilities that they require, withhold and provide. Pure."""

from typing import Literal

from msgspec import Struct

from tests.faults.points import POINTS

WORKERS = ("a", "b")
FLOWING_POINTS = tuple(point for point in POINTS if point != "open.fenced")
"""The points that every event passes; opening a partition needs another fault first."""


class Action(Struct, frozen=True):
    """One action on a deployment; capabilities are plain words."""

    kind: str
    weight: int = 1
    """Relative frequency of draws beyond the first."""
    worker: str = ""
    points: tuple[str, ...] = ()
    requires: frozenset[str] = frozenset()
    withholds: frozenset[str] = frozenset()
    provides: frozenset[str] = frozenset()
    removes: frozenset[str] = frozenset()
    role: Literal["fault", "preparing", "undoing"] = "fault"


def _words(*words: str) -> frozenset[str]:
    return frozenset(words)


def _undoing(kind: str, what: str, worker: str = "") -> Action:
    return Action(kind, 0, worker, requires=_words(what), removes=_words(what), role="undoing")


def _at_worker(worker: str) -> tuple[Action, ...]:
    paused, unwired = f"{worker} paused", f"{worker} unwired"
    other = next(name for name in WORKERS if name != worker)
    awake, whole = _words(paused), _words(paused, unwired)
    working = whole | _words("postgres away", "postgres unwired")
    return (
        Action("kill", 0, worker, withholds=awake),
        Action("terminate", 3, worker, withholds=whole),
        Action("wipe", 2, worker, withholds=whole),
        Action("flip-bits", 1, worker, withholds=whole),
        # Pause only one of the two, or no worker would count meanwhile.
        Action("pause", 1, worker, withholds=whole | _words(f"{other} paused"), provides=_words(paused)),
        _undoing("wake", paused, worker),
        Action("raise", 4, worker, FLOWING_POINTS, withholds=working),
        Action("kill-at-point", 4, worker, FLOWING_POINTS, withholds=working),
        Action("block", 1, worker, ("fold.batch", "route.read", "view.apply"), withholds=working),
        Action("cut-kafka", 1, worker, withholds=whole, provides=_words(unwired)),
        Action("stall-kafka", 1, worker, withholds=whole, provides=_words(unwired)),
        _undoing("mend-kafka", unwired, worker),
    )


_ALL_WIRED = _words(*(f"{worker} {how}" for worker in WORKERS for how in ("paused", "unwired")))
_POSTGRES = _words("postgres away")
_REACHED = _words("postgres away", "postgres unwired")

ACTIONS: tuple[Action, ...] = (
    *(action for worker in WORKERS for action in _at_worker(worker)),
    Action("restart-broker", 1),
    Action("kill-broker", 1),
    Action("fence", 2, withholds=_ALL_WIRED),
    Action("open-transaction", 2, withholds=_ALL_WIRED),
    Action("bomb", 1, withholds=_ALL_WIRED),
    Action("second-deployment", 1, withholds=_ALL_WIRED | _words("postgres away", "postgres unwired")),
    Action("stop-postgres", 2, withholds=_REACHED, provides=_POSTGRES),
    _undoing("start-postgres", "postgres away"),
    Action("cut-postgres", 1, withholds=_REACHED, provides=_words("postgres unwired")),
    Action("stall-postgres", 1, withholds=_REACHED, provides=_words("postgres unwired")),
    Action("slow-postgres", 1, withholds=_REACHED, provides=_words("postgres unwired")),
    _undoing("mend-postgres", "postgres unwired"),
    Action("cut-commit", 2, withholds=_REACHED),
    Action("lock-counters", 1, withholds=_REACHED),
    Action("take-connections", 1, withholds=_REACHED),
    Action("migrate", 1, withholds=_POSTGRES),
    Action("dump", 0, withholds=_POSTGRES | _words("dump"), provides=_words("dump"), role="preparing"),
    Action("restore-dump", 1, requires=_words("dump"), withholds=_REACHED, removes=_words("dump")),
)

FAULTS = frozenset(action.kind for action in ACTIONS if action.role == "fault")
"""Every kind of fault, without the actions that prepare or undo one."""
