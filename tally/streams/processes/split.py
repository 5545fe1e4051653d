"""Which processes a worker is made of. Pure."""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct

from tally.streams.processes.endings import STOP_SECONDS, TURN_SECONDS

Role = TypeVar("Role", bound=str)

FIRST_APART = "route"
"""It costs about as much as everything else together, so it is what a second core can take."""
NEXT_APART = "view"
"""It costs little; in a process of its own its answers never wait for folding."""


class Plan(Struct, frozen=True):
    """All that the parent is told. It loads no settings: they need as much memory as all else in it."""

    children: tuple[tuple[str, ...], ...]
    """The roles of each child, in the order of stopping."""
    command: tuple[str, ...]
    """What starts a child; its roles and descriptors follow."""
    host: str
    port: int
    """Where the process with the view is reached."""
    metrics_host: str
    metrics_port: int
    """Where metrics and health of all are."""
    log_level: str
    log_format: str
    turn_seconds: float = TURN_SECONDS
    stop_seconds: float = STOP_SECONDS
    hosts: tuple[str, ...] = ()
    """Names under which metrics and health are reached, beside localhost and addresses."""


def split(roles: Sequence[Role], processes: int | None, cores: int) -> tuple[tuple[Role, ...], ...]:
    """Return the roles of each process of a worker, in the order in which the processes are stopped.

    `processes` is the most that there may be; fewer are made where the roles are too few. Without it a worker
    that has route and another role is two processes where it may use two cores, else one.
    """
    most = processes or (2 if cores >= 2 and FIRST_APART in roles else 1)
    rest = tuple(dict.fromkeys(roles))
    first = _apart(rest, FIRST_APART) if most > 1 else ()
    rest = tuple(role for role in rest if role not in first)
    last = _apart(rest, NEXT_APART) if most > 1 + bool(first) else ()
    rest = tuple(role for role in rest if role not in last)
    return tuple(one for one in (first, rest, last) if one)


def _apart(roles: Sequence[Role], wanted: str) -> tuple[Role, ...]:
    """Return the wanted role if it is not the only one."""
    return tuple(role for role in roles if role == wanted and len(roles) > 1)


def name_of(roles: Sequence[str]) -> str:
    """Return the name of a process for logs, metrics and health: its roles as TALLY_ROLES lists them."""
    return ",".join(roles)
