"""Which keys belong together: connected components, by union and find. Pure."""

from collections.abc import Iterable, Sequence
from typing import Generic

from msgspec import Struct

from tally.tables.families.family import F


class Components:
    """Disjoint sets of keys; each is found by the smallest key in it, in whatever order they were united."""

    def __init__(self) -> None:
        self._parents: dict[bytes, bytes] = {}

    def add(self, key: bytes) -> None:
        """Add a key that belongs to no other, unless it is known."""
        self._parents.setdefault(key, key)

    def union(self, first: bytes, others: Iterable[bytes]) -> None:
        """Let keys belong together, known ones or new ones."""
        parents = self._parents
        parents.setdefault(first, first)
        smallest = self.find(first)
        for key in others:
            if key not in parents:
                # A new key is a leaf, or the new smallest.
                parents[key] = key
                theirs = key
            else:
                theirs = self.find(key)
            if theirs < smallest:
                parents[smallest] = smallest = theirs
            elif theirs != smallest:
                parents[theirs] = smallest

    def find(self, key: bytes) -> bytes:
        """Return the smallest key that belongs together with a known one. Raises KeyError for another."""
        parents = self._parents
        while (parent := parents[key]) != key:
            # Each look halves the way for the next one.
            parents[key] = key = parents[parent]
        return key

    def groups(self) -> dict[bytes, list[bytes]]:
        """Return all keys that belong together, in the order of their coming, by the smallest of each."""
        groups: dict[bytes, list[bytes]] = {}
        for key in self._parents:
            groups.setdefault(self.find(key), []).append(key)
        return groups


class Component(Struct, Generic[F]):
    """What of a batch belongs together: some keys, what their facts are, and the states they had."""

    named: list[bytes] = []
    facts: list[F] = []
    roots: Sequence[bytes] = ()
    """Keys under which its states lived before the batch."""
    apart: Sequence[bytes] = ()
    """Keys that its facts name and that stood apart before."""

    @property
    def any_key(self) -> bytes:
        """One of its keys; all of them begin with the same scope."""
        return next(iter(self.named or self.roots or self.apart))
