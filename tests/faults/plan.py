"""The plan of faults: actions drawn from a seed, within the capabilities that they require. Pure."""

from collections import Counter
from itertools import pairwise
from random import Random

from msgspec import Struct, field

from tests.faults.actions import ACTIONS, FAULTS, Action

LEFT_AT_LEAST = 0.2
"""Least share of the work that must be left when a fault strikes."""
UNDONE_SHARE = 0.4
"""Probability that the next action undoes an earlier one, if there is one to undo."""
LONGEST_ACTIONS = 6
"""An action is undone after at most this many further actions."""
MEASURED_SHARE = 0.4
"""Share of the kills in an otherwise healthy deployment after which the time to progress is measured."""


class Strike(Struct, frozen=True):
    """One action, done while records [first, last) are being sent."""

    action: Action
    point: str
    """The point in the code, for actions that strike at one."""
    is_measured: bool
    after_seconds: float
    first: int = 0
    last: int = 0


class Capabilities(Struct):
    """The capabilities that earlier actions have provided."""

    has: dict[str, int] = field(default_factory=dict)
    """Number of the providing action, by capability."""

    def allows(self, action: Action) -> bool:
        """Return whether an action can be done now."""
        return action.requires <= self.has.keys() and not action.withholds & self.has.keys()

    def do(self, action: Action, number: int) -> None:
        """Apply the capabilities that an action provides and removes."""
        for name in action.removes:
            del self.has[name]
        self.has |= dict.fromkeys(action.provides, number)


def plan(rng: Random, records: int, faults: int, kills: int, kinds: frozenset[str] = FAULTS) -> list[Strike]:
    """Return `faults` faults spread over the records, `kills` of them kills, every kind at least once.

    Actions that prepare or undo a fault come on top. Raises ValueError for fewer faults than kinds.
    """
    left = _quota(rng, faults, kills, kinds)
    capabilities, drawn = Capabilities(), list[Action]()
    while left.total():
        action = _next(rng, capabilities, left, len(drawn))
        capabilities.do(action, len(drawn))
        drawn.append(action)
        left -= Counter([action.kind])
    for action in [action for action in ACTIONS if action.role == "undoing"]:
        if capabilities.allows(action):
            capabilities.do(action, len(drawn))
            drawn.append(action)
    return _spread(rng, drawn, int(records * (1 - LEFT_AT_LEAST)))


def _quota(rng: Random, faults: int, kills: int, kinds: frozenset[str]) -> Counter[str]:
    weights = {action.kind: action.weight for action in ACTIONS if action.kind in kinds - {"kill"}}
    more = faults - kills - len(weights)
    if more < 0:
        raise ValueError(f"{faults} faults with {kills} kills leave no room for {len(weights)} other kinds")
    chosen = rng.choices(list(weights), list(weights.values()), k=more)
    left = Counter({"kill": kills}) + Counter([*weights, *chosen])
    left["dump"] = left["restore-dump"]
    return left


def _next(rng: Random, capabilities: Capabilities, left: Counter[str], number: int) -> Action:
    undoing = [action for action in ACTIONS if action.role == "undoing" and capabilities.allows(action)]
    late = [
        one
        for one in undoing
        if number - min(capabilities.has[name] for name in one.removes) > LONGEST_ACTIONS
    ]
    doing = [action for action in ACTIONS if left[action.kind] and capabilities.allows(action)]
    if late or (undoing and (not doing or rng.random() < UNDONE_SHARE)):
        return rng.choice(late or undoing)
    return rng.choices(doing, [left[action.kind] for action in doing])[0]


def _spread(rng: Random, drawn: list[Action], records: int) -> list[Strike]:
    bounds = [records * n // len(drawn) for n in range(len(drawn) + 1)]
    capabilities, strikes = Capabilities(), list[Strike]()
    for number, (action, (first, last)) in enumerate(zip(drawn, pairwise(bounds), strict=True)):
        strikes.append(
            Strike(
                action,
                rng.choice(action.points) if action.points else "",
                is_measured=action.kind == "kill" and not capabilities.has and rng.random() < MEASURED_SHARE,
                after_seconds=rng.uniform(0.0, 1.0),
                first=first,
                last=last,
            )
        )
        capabilities.do(action, number)
    return strikes
