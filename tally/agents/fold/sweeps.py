"""Facts about all subjects of a scope at once: what was last heard of before a moment is over. Pure.

A restart of a PBX, or a list of its channels, ends every call that it does not show. The latest sweep of a
scope is kept and applied to whatever is folded later, and an index of open subjects finds those that no
fact will ever touch again: so a sweep counts the same wherever in the log it stands.
"""

from collections.abc import Iterable
from typing import Any

from tally.agents.fold.failure import family_code
from tally.schemas.topics import OPEN, SWEEPS
from tally.tables.families.family import Family
from tally.tables.reading import Reader, Writes


class Sweeps:
    """The latest sweep of each scope that a batch touches."""

    def __init__(self, family: Family[Any, Any], reader: Reader, scopes: Iterable[bytes]) -> None:
        self._family = family
        self._reader = reader
        wanted = [family.code + scope for scope in dict.fromkeys(scopes)] if family.sweeps else []
        known = zip(wanted, reader.get_many(SWEEPS, wanted), strict=True)
        self._latest = {key: int.from_bytes(value, "big") for key, value in known if value is not None}

    def take(
        self, facts: list[tuple[bytes, Any]], writes: Writes
    ) -> tuple[list[tuple[bytes, Any]], list[bytes]]:
        """Part sweeps from other facts; return those, and the open subjects that a sweep may end."""
        if not self._family.sweeps:
            return facts, []
        with family_code():
            moments = [self._family.sweep_us(fact) for _, fact in facts]
        risen: dict[bytes, int] = {}
        for (scope, _), at_us in zip(facts, moments, strict=True):
            key = self._family.code + scope
            if at_us is not None and at_us > self._latest.get(key, -1):
                self._latest[key] = risen[key] = at_us
        if risen:
            writes.setdefault(SWEEPS, {}).update(
                (key, at_us.to_bytes(8, "big")) for key, at_us in risen.items()
            )
        opened = [key for scope in risen for key in self._reader.keys_under(OPEN, scope + b"/")]
        about_one = [fact for fact, at_us in zip(facts, moments, strict=True) if at_us is None]
        return about_one, [key.removeprefix(self._family.code) for key in opened]

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
