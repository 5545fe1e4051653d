"""An operator's state at this moment as counts of a row, written and read here. Pure.

A row holds numbers only: a text is the name of a count of one. A membership is a count for each number that
is not 0, `memberships.QUEUE/status`, and `memberships.QUEUE/paused=REASON` where it is paused; the operator's
name is `memberships.name=NAME`. Both halves of a name are escaped, so that a queue may have any name.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tally.schemas.keys import join_parts, split_parts

LEGS_IN_CALL = "legs.in_call"
"""Legs of calls that are connected with a customer at this moment."""
LEGS_RINGING = "legs.ringing"
"""Legs that a queue offers a customer to at this moment."""
MEMBERSHIPS = "memberships."
NAMED = "name="
PAUSED = "paused="
NUMBERS = ("status", "since_ms", "in_call", "last_call_s", "wrapup_s")
"""Fields of a membership that are counts of the same name; of one that is 0 there is no count."""


class Membership(Struct, frozen=True):
    """An operator in one queue, as the PBX last described it."""

    queue: str
    status: int = 0
    since_ms: int = 0
    in_call: int = 0
    last_call_s: int = 0
    wrapup_s: int = 0
    reason: str | None = None
    """Why it is paused; None where it is not, empty where nobody gave a reason."""


class OperatorState(Struct, frozen=True):
    """What a row says of an operator's memberships, and of the legs that now are its calls."""

    name: str = ""
    memberships: tuple[Membership, ...] = ()
    """In the order of their queues' names."""
    legs_in_call: int = 0
    legs_ringing: int = 0


def membership_counts(name: str, memberships: Iterable[Membership]) -> dict[str, int]:
    """Return the counts of an operator's name and its memberships."""
    counts = {MEMBERSHIPS + join_parts(NAMED + name).decode(): 1}
    for membership in memberships:
        for field in NUMBERS:
            if number := getattr(membership, field):
                counts[_count_name(membership.queue, field)] = number
        if membership.reason is not None:
            counts[_count_name(membership.queue, PAUSED + membership.reason)] = 1
    return counts


def read_operator_state(counts: Mapping[str, int]) -> OperatorState:
    """Return what counts say of an operator; those of a version that knows more are passed over.

    Of several names, or reasons for a pause, the smallest holds: rows of different partitions may give two.
    """
    names: list[str] = []
    queues: dict[str, dict[str, Any]] = {}
    for count, value in counts.items():
        if count.startswith(MEMBERSHIPS):
            parts = split_parts(count.removeprefix(MEMBERSHIPS).encode())
            if len(parts) == 1 and parts[0].startswith(NAMED):
                names.append(parts[0].removeprefix(NAMED))
            elif len(parts) == 2:
                queue, what = parts
                _add(queues.setdefault(queue, {"queue": queue}), what, value)
    return OperatorState(
        min(names, default=""),
        tuple(msgspec.convert(queues[queue], Membership) for queue in sorted(queues)),
        counts.get(LEGS_IN_CALL, 0),
        counts.get(LEGS_RINGING, 0),
    )


def _count_name(queue: str, what: str) -> str:
    return MEMBERSHIPS + join_parts(queue, what).decode()


def _add(membership: dict[str, Any], what: str, value: int) -> None:
    if what.startswith(PAUSED):
        reason = what.removeprefix(PAUSED)
        membership["reason"] = min(membership.get("reason", reason), reason)
    elif what in NUMBERS:
        membership[what] = value
