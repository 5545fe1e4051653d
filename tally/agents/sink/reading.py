"""How far one log of a partition is read, transaction by transaction. Pure."""

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct, field

from tally.schemas.rows import UNFINISHED, decode_progress
from tally.schemas.topics import Changelog

Key = tuple[str, bytes]
"""The name of a kind, and a key of its log."""
Entries = dict[Key, bytes | None]
"""The newest value of each key; None where it is gone."""


class Ended(Struct, frozen=True):
    """The end of a transaction in one log: its progress record."""

    seq: int
    rules: str
    next_offset: int
    """The offset behind the progress record."""
    at_ms: int
    """Kafka's time of the record."""
    facts_offset: int = 0
    """The progress of the fold: every fact below it is counted."""

    @property
    def is_boundary(self) -> bool:
        """Whether the rows are whole: a recount of several transactions names no rules until its last."""
        return self.rules != UNFINISHED


class Segment(Struct):
    """Records of one log up to a progress record."""

    entries: Entries
    ended: Ended


class Record(Protocol):
    """The part of a consumer's record that is read."""

    @property
    def key(self) -> bytes: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102


class Sieve(Protocol):
    """What of a log is written to Postgres."""

    def kind_of(self, log: Changelog, key: bytes) -> str | None:
        """Return the name of the kind that a key belongs to; None where it is not written."""

    @property
    def logs(self) -> frozenset[Changelog]:
        """The logs of which anything is written."""


class Reading(Struct):
    """How far one log has been read."""

    next_offset: int
    known_end: int
    """The end that was asked for at `asked_s`, or later reached."""
    asked_s: float
    """Monotonic time: what lies beyond `known_end` was written after it."""
    is_passed: bool = False
    """Whether everything up to the end is read."""
    seq: int = 0
    """The last transaction whose end was read."""
    floor: int = 0
    """The first transaction that can be a cut, by this log."""
    open: Entries = field(default_factory=dict)
    """Records after the last progress record."""
    ended: deque[Segment] = field(default_factory=deque)
    """Whole transactions that are in no cut yet; those from before the end are one."""
    newest: tuple[int, float] = (0, 0.0)
    """Kafka's time of the newest record in ms, and when it was read."""
    live: tuple[int, float] = (0, 0.0)
    """What `newest` was when the log was last read to its end."""

    def is_read_late(self, at_ms: int, now_s: float, young_seconds: float) -> bool:
        """Note Kafka's time of what is read; return whether compaction may have been at work before.

        A machine whose clock stood still, such as a paused virtual one, sees it by Kafka's time alone: more
        of it has passed since the log was last read to its end than of its own.
        """
        live_ms, live_s = self.live
        is_late = now_s - self.asked_s >= young_seconds
        has_jumped = live_ms > 0 and at_ms - live_ms > (now_s - live_s + young_seconds / 2) * 1000
        self.newest = max(self.newest[0], at_ms), now_s
        return self.is_passed and (is_late or has_jumped)

    def end(self, record: Record) -> None:
        """Note a progress record: what is open belongs to its transaction."""
        progress = decode_progress(record.value or b"")
        self.seq = progress.seq
        ended = Ended(progress.seq, progress.rules, record.offset + 1, record.timestamp, progress.next_offset)
        if self.is_passed or not self.ended:
            self.ended.append(Segment(self.open, ended))
        else:
            before = self.ended[-1]
            before.entries.update(self.open)
            before.ended = ended
        self.open = {}

    def parts(self) -> Iterator[Entries]:
        """Yield what is read and in no cut, older first."""
        for segment in self.ended:
            yield segment.entries
        yield self.open

    def abandon_cuts(self) -> tuple[Entries, int]:
        """Abandon the cuts that are under way; return what is read, and where reading goes on after a crash.

        The last progress record is read again then: it may be the next cut.
        """
        entries: Entries = {}
        for part in self.parts():
            entries.update(part)
        self.floor = max(self.floor, self.seq + bool(self.open))
        at_end = self.ended and not self.open
        place = self.ended[-1].ended.next_offset - 1 if at_end else self.next_offset
        for segment in self.ended:
            segment.entries = {}
        self.open = {}
        return entries, place

    def give(self, seq: int) -> tuple[Entries, int]:
        """Return what transactions up to this one have changed, and the offset behind its end."""
        entries: Entries = {}
        place = self.next_offset
        while self.ended and self.ended[0].ended.seq <= seq:
            segment = self.ended.popleft()
            entries.update(segment.entries)
            place = segment.ended.next_offset
        return entries, place
