"""Connected components of keys, by union-find. Pure."""

from collections.abc import Iterable, Sequence
from typing import Generic

from msgspec import Struct

from tally.tables.families.family import F


class Components:
    """Disjoint sets of keys, each represented by its smallest key, independent of the order of unions."""

    def __init__(self) -> None:
        self._parents: dict[bytes, bytes] = {}

    def add(self, key: bytes) -> None:
        """Add a key as a set by itself, unless it is known."""
        self._parents.setdefault(key, key)

    def union(self, first: bytes, others: Iterable[bytes]) -> None:
        """Unite the sets of keys; unknown keys are added."""
        parents = self._parents
        parents.setdefault(first, first)
        smallest = self.find(first)
        for key in others:
            if key not in parents:
                # A new key is a leaf, or the new root if it is the smallest.
                parents[key] = key
                theirs = key
            else:
                theirs = self.find(key)
            if theirs < smallest:
                parents[smallest] = smallest = theirs
            elif theirs != smallest:
                parents[theirs] = smallest

    def find(self, key: bytes) -> bytes:
        """Return the smallest key of a known key's set. Raises KeyError for an unknown one."""
        parents = self._parents
        while (parent := parents[key]) != key:
            # Path halving: the next lookup takes half the steps.
            parents[key] = key = parents[parent]
        return key

    def groups(self) -> dict[bytes, list[bytes]]:
        """Return the keys of each set in the order of their addition, by its smallest key."""
        groups: dict[bytes, list[bytes]] = {}
        for key in self._parents:
            groups.setdefault(self.find(key), []).append(key)
        return groups


class Component(Struct, Generic[F]):
    """One connected component of a batch: the keys that its facts name, the facts, and the former states."""

    named: list[bytes] = []
    facts: list[F] = []
    roots: Sequence[bytes] = ()
    """Keys of its states before the batch."""
    apart: Sequence[bytes] = ()
    """Keys named by its facts that stood apart before the batch."""

    @property
    def any_key(self) -> bytes:
        """One of its keys; all begin with the same scope."""
        return next(iter(self.named or self.roots or self.apart))
