"""Named points in a worker at which faults can be armed from outside, for `tests.faults.hooked_worker`.

`tally` itself has no hooks, so they cost nothing and cannot be reached in production. A file with a point's
name in a folder arms it; the point disarms itself before it strikes.
"""

import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import tally.agents.fold.transactions as fold_transactions
import tally.agents.route.loop as route_loop
from tally.agents.view.model import View
from tally.schemas.facts import Claimed
from tally.tables.families.message import MessageFamily
from tally.tables.kafka.dead_letters import DeadLetters
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.postgres.writer import Writer
from tally.tables.store.partition import PartitionStore
from tally.tables.store.transaction import ChangelogWriter

FIRED = ".fired"
POISON = "poison"
"""While this file exists, family code fails at the messages of the contact that it names."""


class Struck(Exception):
    """An exception that stands for an unknown defect of ours."""


class Armed:
    """The faults armed in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def poison(self) -> str | None:
        """The contact whose messages are poison; None if there is none."""
        path = self._folder / POISON
        return path.read_text() if path.exists() else None

    def pass_by(self, point: str) -> None:
        """Strike if armed: raise, die, or block the event loop for the seconds given in the file."""
        path = self._folder / point
        try:
            what = path.read_text()
            path.rename(path.with_name(point + FIRED))
        except FileNotFoundError:
            return
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what.startswith("block"):
            time.sleep(float(what.removeprefix("block")))
            return
        raise Struck(point)

    def before(self, point: str, of: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that passes the point before it calls `of`."""

        @wraps(of)
        def passing(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(point)
            return of(*args, **kwargs)

        return passing

    def after(self, point: str, of: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return a coroutine function that passes the point after it has called `of`."""

        @wraps(of)
        async def passing(*args: Any, **kwargs: Any) -> Any:
            result = await of(*args, **kwargs)
            self.pass_by(point)
            return result

        return passing


POINTS = (
    "route.read",
    "route.appended",
    "route.dead-letter",
    "fold.batch",
    "commit.begun",
    "commit.sent",
    "commit.committed",
    "commit.applied",
    "open.fenced",
    "sink.write",
    "sink.committed",
    "view.apply",
)
"""All points in the order in which an event passes them; `open.fenced` only when a partition is opened."""


def install(armed: Armed) -> None:
    """Patch every point into the code of this process."""
    _replace(route_loop, "route_records", armed.before, "route.read")
    _replace(FactsLog, "append_entries", armed.after, "route.appended")
    _replace(DeadLetters, "write", armed.before, "route.dead-letter")
    _replace(fold_transactions, "fold_steps", armed.before, "fold.batch")
    _replace(ChangelogWriter, "commit", armed.before, "commit.begun")
    _replace(ChangelogWriter, "start", armed.after, "open.fenced")
    _replace(PartitionStore, "_commit", armed.after, "commit.applied")
    _replace(Writer, "write", armed.before, "sink.write")
    _replace(Writer, "write", armed.after, "sink.committed")
    _replace(View, "apply", armed.before, "view.apply")
    _install_in_transactions(armed)
    if (contact := armed.poison) is not None:
        _install_poison(contact)


def _install_in_transactions(armed: Armed) -> None:
    made = ChangelogWriter.__init__

    @wraps(made)
    def making(self: ChangelogWriter, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        producer = self._producer
        committing = armed.after("commit.committed", producer.commit_transaction)
        producer.commit_transaction = armed.before("commit.sent", committing)

    setattr(ChangelogWriter, "__init__", making)  # noqa: B010 - mypy allows no assignment to it


def _install_poison(contact: str) -> None:
    """Make family code raise on each claim of a contact, in every life: a defect that one fact meets."""
    merge = MessageFamily.merge

    @wraps(merge)
    def merging(self: MessageFamily, state: Any, facts: Sequence[Any]) -> Any:
        if any(isinstance(fact, Claimed) and fact.claim.contact == contact for fact in facts):
            raise Struck(POISON)
        return merge(self, state, facts)

    setattr(MessageFamily, "merge", merging)  # noqa: B010 - mypy allows no assignment to it


def _replace(owner: Any, name: str, how: Callable[..., Any], point: str) -> None:
    setattr(owner, name, how(point, getattr(owner, name)))
