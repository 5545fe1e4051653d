"""The functions that carry out the planned actions."""

from collections.abc import Awaitable, Callable

from tests.faults.nemesis_others import OthersNemesis
from tests.faults.nemesis_servers import ServerNemesis
from tests.faults.nemesis_workers import WorkerNemesis
from tests.faults.plan import Strike
from tests.faults.stack import Stack

Doing = Callable[[Strike], Awaitable[None]]


def nemesis(stack: Stack) -> dict[str, Doing]:
    """Return the function of each kind of action. Each raises AssertionError if it had no effect."""
    return {
        name.rstrip("_").replace("_", "-"): getattr(owner, name)
        for owner in (WorkerNemesis(stack), ServerNemesis(stack), OthersNemesis(stack))
        for name in vars(type(owner))
        if not name.startswith("_")
    }
