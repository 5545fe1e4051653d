"""Resyncs: facts that end all subjects of a scope that were last heard of before a moment. Pure.

A restart of a PBX, or a list of its channels, ends every call that it does not show. The table `resyncs`
keeps the latest resync of each scope, which applies to facts folded later. The index `open` finds the
subjects that no later fact touches. So the position of a resync in the log does not matter.
"""

from collections.abc import Iterable
from typing import Any, Generic

from msgspec import Struct

from tally.agents.fold.context import FoldContext, Merged
from tally.agents.fold.failure import family_code
from tally.agents.fold.steps import WideResync
from tally.schemas.tables import OPEN, RESYNCS
from tally.tables.families.family import F, Family, Resyncable, S
from tally.tables.store.interface import StateReader


class Resync(Struct, frozen=True):
    """A resync of one scope: it ends the subjects that were last heard of before `at_us`."""

    family: Resyncable[Any, Any]
    scope: bytes
    at_us: int


def latest_resyncs(family: Resyncable[F, S], scopes: Iterable[bytes], reader: StateReader) -> "Resyncs[F, S]":
    """Return the latest resync of each scope that a batch touches."""
    wanted = [family.code + scope for scope in dict.fromkeys(scopes)]
    known = zip(wanted, reader.get_many(RESYNCS, wanted), strict=True)
    return Resyncs(family, {key: int.from_bytes(value, "big") for key, value in known if value is not None})


def open_subjects(
    resync: Resync, reader: StateReader, begin: bytes = b"", most: int | None = None
) -> list[bytes]:
    """Return the keys of subjects that a resync may end, in order, from `begin` on, `most` at most."""
    code = resync.family.code
    # The key of an entry is the family's code and the subject's key, which begins with its scope.
    found = reader.keys_under(OPEN, code + resync.scope + b"/", code + begin, most)
    return [key.removeprefix(code) for key in found]


def resync_of(family: Family[F, S], scope: bytes, fact: F) -> Resync | None:
    """Return the resync of a fact, or None where the fact is about one subject."""
    if not isinstance(family, Resyncable):
        return None
    at_us = family.resync_us(fact)
    return None if at_us is None else Resync(family, scope, at_us)


class Resyncs(Generic[F, S]):
    """The latest resync of each scope; in `latest`, microseconds by family code and scope."""

    def __init__(self, family: Resyncable[F, S], latest: dict[bytes, int]) -> None:
        self._family = family
        self._latest = latest

    def split(
        self, facts: list[tuple[bytes, F]], context: FoldContext, is_resynced: bool
    ) -> tuple[list[tuple[bytes, F]], list[bytes]]:
        """Split off resyncs; return the other facts, and the open subjects that a resync may end.

        With `is_resynced` no open subjects are returned: they have been resynced already. Raises WideResync.
        """
        about_one: list[tuple[bytes, F]] = []
        later: dict[bytes, Resync] = {}
        with family_code():
            for scope, fact in facts:
                at_us = self._family.resync_us(fact)
                if at_us is None:
                    about_one.append((scope, fact))
                elif at_us > self._latest.get(key := self._family.code + scope, -1):
                    self._latest[key] = at_us
                    later[key] = Resync(self._family, scope, at_us)
        if later:
            context.writes_to(RESYNCS).update(
                (key, resync.at_us.to_bytes(8, "big")) for key, resync in later.items()
            )
        opened: list[bytes] = []
        most = context.limits.resynced_subjects
        for resync in () if is_resynced else later.values():
            opened += open_subjects(resync, context.reader, most=most + 1 - len(opened))
            if len(opened) > most:
                raise WideResync
        return about_one, opened

    def applied(self, root: bytes, state: S) -> S:
        """Return a state after the latest resync of its scope."""
        if not self._latest:
            return state
        latest = self._latest.get(self._family.code + root.partition(b"/")[0])
        return state if latest is None else self._family.resynced(state, latest)

    def index(self, merged: Merged[F, S], context: FoldContext) -> None:
        """Update the index of open subjects: the merged subject replaces its former ones."""
        was = {key for key, before in merged.befores.items() if self._family.is_open(before)}
        now = {merged.root} if self._family.is_open(merged.after) else set()
        if was == now:
            return
        table = context.writes_to(OPEN)
        table.update((self._family.code + key, None) for key in was - now)
        table.update((self._family.code + key, b"1") for key in now - was)
