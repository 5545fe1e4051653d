"""What is missing from the numbers, as the counters changelog keeps it. Pure.

It stands beside the rows under keys that begin with NUL, so that whoever reads rows knows it as well. What
notices come to is a join: the same in whatever order and however often they come, and it only grows.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from msgspec import Struct

from tally.schemas.keys import join_parts, split_parts
from tally.schemas.notices import LOST_RECORDS, OF_TOPICS, REPLACED_TOPIC, Acknowledged, Range, Reading, Scope

NO_ROW = b"\x00"
"""What every key in the counters changelog begins with that is not a row's."""
_READ = b"\x00read/"
_SUBJECTS = b"\x00incomplete/"


class Known(Struct, frozen=True, array_like=True):
    """What is known to be missing: the largest number that was acknowledged, and the note to it."""

    count: int = 0
    note: str = ""


NOTHING = Known()


class Incarnation(Struct, frozen=True, array_like=True):
    """What became of one partition of one topic; one that is made anew under its name is another."""

    seen_ms: int
    """When it was first heard of."""
    first_begun: int | None = None
    last_begun: int | None = None
    """Where reading began without an offset of the group: the smallest and the largest."""
    lost: tuple[Range, ...] = ()
    """Sorted and apart from each other."""
    lost_ms: int | None = None
    """When one of these was first noticed."""

    def lost_records(self, is_first: bool) -> int:
        """Return how many records are gone at most; some offsets may have been markers of transactions.

        A group whose offsets are gone begins anew: what was there between its two beginnings and is not
        any more may have been read or not. Of a topic that is not the first of its name nobody has read
        what is gone before its beginning.
        """
        lost = self.lost
        if self.first_begun is not None and self.last_begun is not None:
            lost = union((*lost, (self.first_begun if is_first else 0, self.last_begun)))
        return sum(to - start for start, to in lost)


class PartitionRead(Struct, frozen=True, array_like=True):
    """What is known of how a partition of a raw topic was read in this generation."""

    incarnations: dict[str, Incarnation] = {}
    """By topic id, sorted."""
    known: dict[str, Known] = {}
    """By kind, sorted."""

    @property
    def missing(self) -> dict[str, int]:
        """Return by kind how much is missing; nothing where all was read."""
        lost = sum(one.lost_records(index == 0) for index, one in enumerate(self._in_order))
        counts = {LOST_RECORDS: lost, REPLACED_TOPIC: len(self.incarnations) - 1}
        return {kind: count for kind, count in counts.items() if count > 0}

    @property
    def since_ms(self) -> int:
        """Return when something first was missing; 0 where nothing is."""
        ordered = self._in_order
        lost = [one.lost_ms or one.seen_ms for i, one in enumerate(ordered) if one.lost_records(i == 0)]
        return min([*lost, *(one.seen_ms for one in ordered[1:])], default=0)

    @property
    def _in_order(self) -> list[Incarnation]:
        """Return what there was under the name, the first one first."""
        return sorted(self.incarnations.values(), key=lambda one: one.seen_ms)


class Subjects(Struct, frozen=True, array_like=True):
    """How many subjects of a campaign lack facts, of one kind and in one partition of the facts log."""

    count: int = 0
    since_ms: int = 0
    """When the first of them was marked; 0 where there is none."""
    known: Known = NOTHING


class Entry(Struct, frozen=True):
    """One line of what is missing: whose it is, how much, and how much of it is acknowledged."""

    kind: str
    scope: Scope
    count: int
    since_ms: int
    known: Known

    @property
    def name(self) -> str:
        """The line's id, as the command line shows and takes it."""
        return join_parts(self.kind, *self.scope).decode()

    @property
    def acknowledged(self) -> int:
        """How much of it is acknowledged: never more than there is."""
        return min(self.count, self.known.count)

    @property
    def concerns_all(self) -> bool:
        """Whether nobody can say whose it is."""
        return self.kind in OF_TOPICS or self.scope == ("", "")


T = TypeVar("T")
Value = PartitionRead | Subjects
_decode_read = msgspec.msgpack.Decoder(PartitionRead).decode
_decode_subjects = msgspec.msgpack.Decoder(Subjects).decode


def partition_key(topic: str, partition: int) -> bytes:
    """Return the key of what is known of a partition of a raw topic."""
    return _READ + join_parts(topic, str(partition))


def subjects_key(kind: str, scope: Scope) -> bytes:
    """Return the key of how many subjects of a campaign are incomplete."""
    return _SUBJECTS + join_parts(kind, *scope)


def is_missing(key: bytes) -> bool:
    """Return whether a key of the counters changelog is of what is missing."""
    return key.startswith((_READ, _SUBJECTS))


def decode_missing(key: bytes, value: bytes) -> Value:
    """Decode a value under such a key. Raises msgspec.ValidationError."""
    return _decode_read(value) if key.startswith(_READ) else _decode_subjects(value)


def entries_of(key: bytes, value: Value) -> list[Entry]:
    """Return the lines that a value comes to; none where nothing is missing."""
    if isinstance(value, PartitionRead):
        topic, partition = split_parts(key.removeprefix(_READ))
        return [
            Entry(kind, (topic, partition), count, value.since_ms, value.known.get(kind, NOTHING))
            for kind, count in value.missing.items()
        ]
    kind, tenant, campaign = split_parts(key.removeprefix(_SUBJECTS))
    return [Entry(kind, (tenant, campaign), value.count, value.since_ms, value.known)] if value.count else []


def union(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return ranges sorted and apart from each other; empty ones vanish."""
    found: list[Range] = []
    for start, to in sorted(ranges):
        if start >= to:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], to))
        else:
            found.append((start, to))
    return tuple(found)


def joined(left: Value, right: Value) -> Value:
    """Return what is known by either of two values of the same key: idempotent, commutative, associative."""
    if isinstance(left, PartitionRead) and isinstance(right, PartitionRead):
        return PartitionRead(
            _both(left.incarnations, right.incarnations, _joined_incarnations),
            _both(left.known, right.known, _larger),
        )
    if isinstance(left, Subjects) and isinstance(right, Subjects):
        since_ms = min(filter(None, (left.since_ms, right.since_ms)), default=0)
        return Subjects(max(left.count, right.count), since_ms, _larger(left.known, right.known))
    raise TypeError("values of different keys")


def noticed(notice: Reading | Acknowledged) -> tuple[bytes, Value]:
    """Return what one notice says, and under which key."""
    if isinstance(notice, Reading):
        begun, lost_ms = notice.begun_at, notice.at_ms if notice.lost else None
        lost = union([notice.lost] if notice.lost else [])
        one = Incarnation(notice.at_ms, begun, begun, lost, lost_ms)
        return partition_key(notice.topic, notice.partition), PartitionRead({notice.topic_id: one})
    known = Known(notice.count, notice.note)
    if notice.kind in OF_TOPICS:
        topic, partition = notice.scope
        return partition_key(topic, int(partition)), PartitionRead({}, {notice.kind: known})
    return subjects_key(notice.kind, notice.scope), Subjects(known=known)


def _larger(left: Known, right: Known) -> Known:
    return max(left, right, key=lambda known: (known.count, known.note))


def _joined_incarnations(left: Incarnation, right: Incarnation) -> Incarnation:
    return Incarnation(
        min(left.seen_ms, right.seen_ms),
        _of_both(min, left.first_begun, right.first_begun),
        _of_both(max, left.last_begun, right.last_begun),
        union((*left.lost, *right.lost)),
        _of_both(min, left.lost_ms, right.lost_ms),
    )


def _both(left: dict[str, T], right: dict[str, T], join: Callable[[T, T], T]) -> dict[str, T]:
    """Return two maps as one, sorted by key; what is in both is joined."""
    found = left | right
    found.update((name, join(left[name], right[name])) for name in left.keys() & right.keys())
    return dict(sorted(found.items()))


def _of_both(choose: Callable[[int, int], int], left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return choose(left, right)
