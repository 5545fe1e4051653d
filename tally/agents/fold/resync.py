"""Facts about all subjects of a scope at once: what was last heard of before a moment is over. Pure.

A restart of a PBX, or a list of its channels, ends every call that it does not show. The latest sweep of a
scope is kept and applied to whatever is folded later, and an index of open subjects finds those that no
fact will ever touch again: so a sweep counts the same wherever in the log it stands.
"""

from collections.abc import Iterable
from typing import Any, Generic

from msgspec import Struct

from tally.agents.fold.context import FoldContext, Merged
from tally.agents.fold.failure import family_code
from tally.agents.fold.steps import WideSweep
from tally.schemas.topics import OPEN, SWEEPS
from tally.tables.families.family import F, Family, Resyncable, S
from tally.tables.store.interface import Reader


class Sweep(Struct, frozen=True):
    """A sweep of one scope: what was last heard of before this moment is over."""

    family: Resyncable[Any, Any]
    scope: bytes
    at_us: int


def latest_sweeps(family: Resyncable[F, S], scopes: Iterable[bytes], reader: Reader) -> "Sweeps[F, S]":
    """Return the latest sweep of each scope that a batch touches."""
    wanted = [family.code + scope for scope in dict.fromkeys(scopes)]
    known = zip(wanted, reader.get_many(SWEEPS, wanted), strict=True)
    return Sweeps(family, {key: int.from_bytes(value, "big") for key, value in known if value is not None})


def open_subjects(sweep: Sweep, reader: Reader, begin: bytes = b"", most: int | None = None) -> list[bytes]:
    """Return the keys of subjects that a sweep may end, in order; from `begin` on, and so many at most."""
    code = sweep.family.code
    # An entry of the index is the family's code and the subject's key, which begins with its scope.
    found = reader.keys_under(OPEN, code + sweep.scope + b"/", code + begin, most)
    return [key.removeprefix(code) for key in found]


def sweep_of(family: Family[F, S], scope: bytes, fact: F) -> Sweep | None:
    """Return the sweep that a fact is, or None where it is about one subject."""
    if not isinstance(family, Resyncable):
        return None
    at_us = family.sweep_us(fact)
    return None if at_us is None else Sweep(family, scope, at_us)


class Sweeps(Generic[F, S]):
    """The latest sweep of each scope, in microseconds by family's code and scope."""

    def __init__(self, family: Resyncable[F, S], latest: dict[bytes, int]) -> None:
        self._family = family
        self._latest = latest

    def take(
        self, facts: list[tuple[bytes, F]], context: FoldContext, is_swept: bool
    ) -> tuple[list[tuple[bytes, F]], list[bytes]]:
        """Part sweeps from other facts; return those, and the open subjects that a sweep may end.

        There are none where they have been swept already. Raises WideSweep.
        """
        about_one: list[tuple[bytes, F]] = []
        risen: dict[bytes, Sweep] = {}
        with family_code():
            for scope, fact in facts:
                at_us = self._family.sweep_us(fact)
                if at_us is None:
                    about_one.append((scope, fact))
                elif at_us > self._latest.get(key := self._family.code + scope, -1):
                    self._latest[key] = at_us
                    risen[key] = Sweep(self._family, scope, at_us)
        if risen:
            context.writes_to(SWEEPS).update(
                (key, sweep.at_us.to_bytes(8, "big")) for key, sweep in risen.items()
            )
        opened: list[bytes] = []
        most = context.limits.swept_subjects
        for sweep in () if is_swept else risen.values():
            opened += open_subjects(sweep, context.reader, most=most + 1 - len(opened))
            if len(opened) > most:
                raise WideSweep
        return about_one, opened

    def applied(self, root: bytes, state: S) -> S:
        """Return a state after the latest sweep of its scope."""
        if not self._latest:
            return state
        latest = self._latest.get(self._family.code + root.partition(b"/")[0])
        return state if latest is None else self._family.swept(state, latest)

    def index(self, merged: Merged[F, S], context: FoldContext) -> None:
        """Keep the index of open subjects: this one, instead of those that it was before."""
        was = {key for key, before in merged.befores.items() if self._family.is_open(before)}
        now = {merged.root} if self._family.is_open(merged.after) else set()
        if was == now:
            return
        table = context.writes_to(OPEN)
        table.update((self._family.code + key, None) for key in was - now)
        table.update((self._family.code + key, b"1") for key in now - was)
