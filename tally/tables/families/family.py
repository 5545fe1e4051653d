"""What the fold knows of a family: nothing but this."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, Generic, TypeVar

from tally.schemas.bounds import Bound
from tally.schemas.notices import Scope
from tally.schemas.records import packed
from tally.tables.contribution import Part
from tally.tables.rules import Rules

F = TypeVar("F")
S = TypeVar("S")


class Family(ABC, Generic[F, S]):
    """One kind of subject: either a PlainFamily or a ConnectedFamily. `merge` is idempotent and commutative.

    Encodings are canonical: equal states have equal bytes.
    """

    code: ClassVar[bytes]
    """One byte: the first of its facts."""
    table: ClassVar[str]

    decode_fact: Callable[[bytes | memoryview], F]
    """Decode a fact. Raises msgspec.ValidationError."""
    decode: Callable[[bytes], S]
    """Undo `encode`."""

    @abstractmethod
    def merge(self, state: S | None, facts: Sequence[F]) -> S:
        """Return what is known with these facts, at least one; its cost is that of the state once."""

    def beyond(self, state: S) -> Bound | None:
        """Return the bound that the state has outgrown: its subject is incomplete. None where it has not.

        A state that is beyond a bound stays so: what is joined to it never takes it back.
        """
        return None

    def encode(self, state: S) -> bytes:
        """Return the state's canonical bytes."""
        return packed(state)

    def named(self, key: bytes, fact: F) -> Sequence[Scope]:
        """Return the tenants and campaigns that the fact itself names, whatever else is known of its subject.

        Where a fact is quarantined, it is missing from their numbers.
        """
        return ()

    def owners(self, state: S) -> Sequence[Scope]:
        """Return whose a subject certainly is, whether or not it counts for them yet."""
        return ()

    @abstractmethod
    def contribution(self, key: bytes, state: S, rules: Rules) -> list[Part]:
        """Return the counters that the state adds to rows; a pure function of state and rules."""


class PlainFamily(Family[F, S]):
    """A kind of subject that each of its facts names: one fact, one subject, one state under its key."""

    def subject(self, key: bytes, fact: F) -> bytes:
        """Return the key of a fact's subject."""
        return key

    def waits(self, state: S) -> bool:
        """Return whether the state still waits for what would make it count."""
        return False

    def is_contested(self, parts: Sequence[Part]) -> bool:
        """Return whether several tenants claim a subject, by what it contributes."""
        return False


class ConnectedFamily(Family[F, S]):
    """A kind of subject of which a fact may reveal that two are one; a state lives under its smallest key.

    `join` is idempotent, commutative and associative.
    """

    @abstractmethod
    def subjects(self, key: bytes, fact: F) -> Sequence[bytes]:
        """Return the keys under which a fact's subject is known; at least one."""

    @abstractmethod
    def members(self, key: bytes, state: S) -> Sequence[bytes]:
        """Return all keys under which this state's subject is known."""

    @abstractmethod
    def join(self, states: Sequence[S]) -> S:
        """Return what is known with all of these states, at least one; its cost is that of each once."""

    def half_named(self, key: bytes, fact: F) -> Sequence[bytes]:
        """Return those of a fact's subjects that it may name otherwise too, with what is known of them."""
        return ()

    def named_together(self, subject: bytes, facts: Sequence[F], state: S | None) -> Sequence[bytes]:
        """Return how else a half-named subject is known, by these facts and the state that it has."""
        return ()


class PartedFamily(ConnectedFamily[F, S]):
    """A connected family of which facts may show that a subject is several after all."""

    @abstractmethod
    def parted(self, state: S, known: Collection[bytes]) -> Sequence[S]:
        """Return the subjects that a state turned out to be: connected ones, and those that stand apart.

        `known` are the keys of those among them that stood apart before.
        """

    @abstractmethod
    def stands_apart(self, state: S) -> bool:
        """Return whether the subject connects no others, and its key alone names it."""

    @abstractmethod
    def is_too_large(self, encoded: bytes) -> bool:
        """Return whether a state has to be relieved."""

    @abstractmethod
    def relieved(self, state: S) -> S | None:
        """Return a state that is too large so that `parted` makes several of it; None where it cannot be."""


class Resyncable(Family[F, S]):
    """A family of which a fact may say that whatever was not heard of since a moment is over.

    Such a fact is about all subjects of its scope; no other method is asked about it.
    """

    @abstractmethod
    def resync_us(self, fact: F) -> int | None:
        """Return the moment of a resync, in unix microseconds; None for a fact about one subject."""

    @abstractmethod
    def resynced(self, state: S, at_us: int) -> S:
        """Return the state after the latest resync, whatever resyncs came before; a merge undoes it."""

    @abstractmethod
    def is_open(self, state: S) -> bool:
        """Return whether a later resync could still change the state."""


K = TypeVar("K", str, bytes)
V = TypeVar("V")


def ordered(entries: dict[K, V]) -> dict[K, V]:
    """Return a map in the order of its keys, the canonical one; it may be the map itself."""
    return dict(sorted(entries.items())) if len(entries) > 1 else entries


def earliest(left: int | None, right: int | None) -> int | None:
    """Return the smaller of two times; None is unknown."""
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)
