"""Facts about all subjects of a scope at once: what was last heard of before a moment is over. Pure.

A restart of a PBX, or a list of its channels, ends every call that it does not show. The latest sweep of a
scope is kept and applied to whatever is folded later, and an index of open subjects finds those that no
fact will ever touch again: so a sweep counts the same wherever in the log it stands.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from tally.agents.fold.failure import family_code
from tally.agents.fold.steps import Batch, WideSweep
from tally.schemas.topics import OPEN, SWEEPS
from tally.tables.families.family import Family
from tally.tables.store.interface import Reader, Writes


class Sweep(Struct, frozen=True):
    """A sweep of one scope: what was last heard of before this moment is over."""

    family: Family[Any, Any]
    scope: bytes
    at_us: int


def latest_sweeps(family: Family[Any, Any], reader: Reader, scopes: Iterable[bytes]) -> "Sweeps":
    """Return the latest sweep of each scope that a batch touches."""
    wanted = [family.code + scope for scope in dict.fromkeys(scopes)] if family.sweeps else []
    known = zip(wanted, reader.get_many(SWEEPS, wanted), strict=True)
    return Sweeps(family, {key: int.from_bytes(value, "big") for key, value in known if value is not None})


def open_subjects(sweep: Sweep, reader: Reader, begin: bytes = b"", most: int | None = None) -> list[bytes]:
    """Return the keys of subjects that a sweep may end, in order; from `begin` on, and so many at most."""
    code = sweep.family.code
    # An entry of the index is the family's code and the subject's key, which begins with its scope.
    found = reader.keys_under(OPEN, code + sweep.scope + b"/", code + begin, most)
    return [key.removeprefix(code) for key in found]


def sweep_of(family: Family[Any, Any], scope: bytes, fact: Any) -> Sweep | None:
    """Return the sweep that a fact is, or None where it is about one subject."""
    at_us = family.sweep_us(fact) if family.sweeps else None
    return None if at_us is None else Sweep(family, scope, at_us)


class Sweeps:
    """The latest sweep of each scope, in microseconds by family's code and scope."""

    def __init__(self, family: Family[Any, Any], latest: dict[bytes, int]) -> None:
        self._family = family
        self._latest = latest

    def take(
        self, facts: list[tuple[bytes, Any]], reader: Reader, batch: Batch, is_swept: bool
    ) -> tuple[list[tuple[bytes, Any]], list[bytes]]:
        """Part sweeps from other facts; return those, and the open subjects that a sweep may end.

        There are none where they have been swept already. Raises WideSweep.
        """
        if not self._family.sweeps:
            return facts, []
        with family_code():
            moments = [self._family.sweep_us(fact) for _, fact in facts]
        risen: dict[bytes, Sweep] = {}
        for (scope, _), at_us in zip(facts, moments, strict=True):
            key = self._family.code + scope
            if at_us is not None and at_us > self._latest.get(key, -1):
                self._latest[key] = at_us
                risen[key] = Sweep(self._family, scope, at_us)
        if risen:
            batch.writes.setdefault(SWEEPS, {}).update(
                (key, sweep.at_us.to_bytes(8, "big")) for key, sweep in risen.items()
            )
        opened: list[bytes] = []
        most = batch.limits.swept_subjects
        for sweep in () if is_swept else risen.values():
            opened += open_subjects(sweep, reader, most=most + 1 - len(opened))
            if len(opened) > most:
                raise WideSweep
        about_one = [fact for fact, at_us in zip(facts, moments, strict=True) if at_us is None]
        return about_one, opened

    def applied(self, root: bytes, state: Any) -> Any:
        """Return a state after the latest sweep of its scope."""
        if not self._latest:
            return state
        latest = self._latest.get(self._family.code + root.partition(b"/")[0])
        return state if latest is None else self._family.swept(state, latest)

    def index(self, root: bytes, after: Any, befores: dict[bytes, Any], writes: Writes) -> None:
        """Keep the index of open subjects: this one, instead of those that it was before."""
        if not self._family.sweeps:
            return
        was = {key for key, before in befores.items() if self._family.is_open(before)}
        now = {root} if self._family.is_open(after) else set()
        if was == now:
            return
        table = writes.setdefault(OPEN, {})
        table.update((self._family.code + key, None) for key in was - now)
        table.update((self._family.code + key, b"1") for key in now - was)
