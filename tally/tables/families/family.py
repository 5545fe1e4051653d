"""The interface of families, which is all that the fold knows of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

from tally.schemas.bounds import Bound
from tally.schemas.notices import Scope
from tally.schemas.places import First
from tally.schemas.records import packed
from tally.tables.contribution import Part
from tally.tables.line import Line
from tally.tables.rules import Rules

F = TypeVar("F")
S = TypeVar("S")


class Placed(NamedTuple):
    """Something that a state knows, and where it came from: the raw record that a list can show of it."""

    of: str
    """The attempt (with tenant, campaign and contact if they are not the subject's), the message's digest in
    hex, the channel or the ActionID; empty where it is the subject itself."""
    kind: str
    """What happened, as docs/places.md lists it."""
    at_us: int
    """When it happened first, in unix microseconds."""
    place: int
    """The number of the raw record's place (schemas/places.py)."""


class Family(ABC, Generic[F, S]):
    """One kind of subject: either a PlainFamily or a ConnectedFamily. `merge` is idempotent and commutative.

    Encodings are canonical: equal states have equal bytes.
    """

    code: ClassVar[bytes]
    """One byte, with which the records of its facts begin."""
    table: ClassVar[str]

    decode_fact: Callable[[bytes | memoryview], F]
    """Decode a fact. Raises msgspec.ValidationError."""
    decode: Callable[[bytes], S]
    """Decode a state that `encode` encoded."""

    @abstractmethod
    def merge(self, state: S | None, facts: Sequence[F]) -> S:
        """Return the state with these facts, at least one, merged; it costs one pass over the state."""

    def beyond(self, state: S) -> Bound | None:
        """Return the bound that the state has outgrown, so that its subject is incomplete; else None.

        A state beyond a bound stays beyond it, whatever is merged or joined.
        """
        return None

    def encode(self, state: S) -> bytes:
        """Return the state's canonical bytes."""
        return packed(state)

    def named(self, key: bytes, fact: F) -> Sequence[Scope]:
        """Return the tenants and campaigns that the fact itself names, apart from its subject's state.

        If the fact is quarantined, it is missing from their numbers.
        """
        return ()

    def owners(self, state: S) -> Sequence[Scope]:
        """Return the certain owners of a subject, whether or not it already counts for them."""
        return ()

    def places(self, state: S) -> Iterator[Placed]:
        """Yield the first event of each kind that the state knows, with its place."""
        yield from ()

    @abstractmethod
    def contribution(self, key: bytes, state: S, rules: Rules) -> list[Part]:
        """Return the counters that the state adds to rows; a pure function of state and rules."""

    def lines(self, key: bytes, state: S, rules: Rules) -> list[Line]:
        """Return the same line by line, with whom each is about; no two are of one row and one `of`."""
        return [Line(part, part.first_ms) for part in self.contribution(key, state, rules)]


class PlainFamily(Family[F, S]):
    """A family whose facts name their subject: one fact has one subject, with one state under its key."""

    def subject(self, key: bytes, fact: F) -> bytes:
        """Return the key of a fact's subject."""
        return key

    def waits(self, state: S) -> bool:
        """Return whether the state counts nothing yet, because a fact such as a claim is still missing."""
        return False

    def is_contested(self, parts: Sequence[Part]) -> bool:
        """Return whether several tenants claim a subject, judged by its parts."""
        return False


class ConnectedFamily(Family[F, S]):
    """A family in which a fact may reveal that two subjects are one; a state's key is the smallest of them.

    `join` is idempotent, commutative and associative.
    """

    @abstractmethod
    def subjects(self, key: bytes, fact: F) -> Sequence[bytes]:
        """Return the keys of a fact's subject; at least one."""

    @abstractmethod
    def members(self, key: bytes, state: S) -> Sequence[bytes]:
        """Return all keys of the state's subject."""

    @abstractmethod
    def join(self, states: Sequence[S]) -> S:
        """Return the join of these states, at least one; it costs one pass over each."""

    def half_named(self, key: bytes, fact: F) -> Sequence[bytes]:
        """Return the subjects that a fact names only in part: with their state they may get more names."""
        return ()

    def named_together(self, subject: bytes, facts: Sequence[F], state: S | None) -> Sequence[bytes]:
        """Return the further names of a half-named subject, by these facts and its state."""
        return ()


class PartedFamily(ConnectedFamily[F, S]):
    """A connected family in which a fact may also reveal that one subject is several."""

    @abstractmethod
    def parted(self, state: S, known: Collection[bytes]) -> Sequence[S]:
        """Return the states of the subjects in a state: connected ones, and those that stand apart.

        `known` are the keys of the subjects that stood apart before.
        """

    @abstractmethod
    def stands_apart(self, state: S) -> bool:
        """Return whether the subject connects no others, and only its own key names it."""

    @abstractmethod
    def is_too_large(self, encoded: bytes) -> bool:
        """Return whether an encoded state is so large that it has to be `relieved`."""

    @abstractmethod
    def relieved(self, state: S) -> S | None:
        """Return a too large state, changed so that `parted` splits it; None if that is impossible."""


class Resyncable(Family[F, S]):
    """A family with resync facts: all subjects of a scope that were last heard of before a moment are over.

    A resync fact is about all subjects of its scope; the fold passes it to `resync_us` only.
    """

    @abstractmethod
    def resync_us(self, fact: F) -> int | None:
        """Return the moment of a resync, in unix microseconds; None for a fact about one subject."""

    @abstractmethod
    def resynced(self, state: S, at_us: int) -> S:
        """Return the state after the latest resync; earlier ones do not matter, and a merge undoes it."""

    @abstractmethod
    def is_open(self, state: S) -> bool:
        """Return whether a later resync could still change the state."""


class Listing(Family[F, S]):
    """A family of which the counters changelog lists, beside the rows, what is there at this moment."""

    @abstractmethod
    def listed(self, key: bytes, state: S) -> dict[bytes, bytes]:
        """Return the records of a state, by their keys, which no other state has."""


K = TypeVar("K", str, bytes)
V = TypeVar("V")
T = TypeVar("T", int, First, tuple[int, str])


def ordered(entries: dict[K, V]) -> dict[K, V]:
    """Return a map in the canonical order, that of its keys; it may be the same object."""
    return dict(sorted(entries.items())) if len(entries) > 1 else entries


def earliest(left: T | None, right: T | None) -> T | None:
    """Return the smaller of two times, alone or each with what belongs to it, where None is unknown."""
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)
