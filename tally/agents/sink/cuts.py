"""Joins the records of a partition's two logs into cuts, and into chunks while it catches up. Pure.

A log is read transaction by transaction: the records before a progress record belong to it. A cut is a
transaction whose progress record was read from both logs, with all that came before it and nothing that came
after. In a compacted log an old progress record is no boundary, since what stood before it may be gone. Until
a log is read to the end that it had when reading began, and whenever the sink is too far behind that end, no
cut is made of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from tally.agents.sink.reading import Ended, Entries, Reading, Record, Sieve
from tally.schemas.rows import PROGRESS_KEY
from tally.schemas.topics import CHANGELOGS, Changelog

OVERFULL = 4
"""A sink that follows holds so many times the bound before it gives up the next cut: more than a batch of the
fold, which is one transaction."""
KEY_BYTES = 100
"""The memory of an entry beside its bytes."""

Reason = Literal["behind", "rules", "slept"]
"""Why a partition has to be opened again: too far behind its logs, other rules, or older than tombstones."""


class Bounds(Struct, frozen=True):
    """Sizes of writes, and the ages by which compaction may have removed something."""

    most_entries: int = 4_000
    """Of one transaction in Postgres, beside one more read, or what one transaction of the fold changed.

    A cut in parts was rejected: only the last could move offsets, so a Postgres that loses every third reply
    would be sent the same for ever.
    """
    most_bytes: int = 8 << 20
    """Of what is read and not written; beyond it nothing is read before a write."""
    compaction_lag_seconds: float = 7_200.0
    """What is younger is read whole."""
    delete_retention_seconds: float = 604_800.0
    """What was deleted is read for so long."""

    @property
    def young_seconds(self) -> float:
        """How far behind its logs a sink may be to make cuts."""
        return self.compaction_lag_seconds / 2

    @property
    def tombstones_ms(self) -> float:
        """How old a cut may be for what was deleted since to be read."""
        return self.delete_retention_seconds * 1000 / 2


class Write(Struct, frozen=True):
    """The contents of one transaction in Postgres."""

    entries: Entries
    places: Mapping[Changelog, int]
    """The offsets that are to be held after it."""
    cut: Ended | None = None
    """The transaction that Postgres is a picture of after it; None while the sink catches up."""
    is_pruning: bool = False
    """Whether it deletes what the epoch has not written."""


class Cuts:
    """What is read of one partition and not yet in Postgres.

    `rules` are those of the epoch, empty where not known yet; `since_ms` is the time of the cut that Postgres
    holds, 0 where nothing can have been missed since.
    """

    def __init__(
        self,
        sieve: Sieve,
        bounds: Bounds,
        *,
        places: Mapping[Changelog, int],
        ends: Mapping[Changelog, int],
        asked_s: float,
        rules: str = "",
        since_ms: int = 0,
        is_pruned: bool = True,
        is_cut: bool = True,
    ) -> None:
        self._sieve = sieve
        self._bounds = bounds
        self._logs = {log: Reading(places[log], ends[log], asked_s) for log in CHANGELOGS}
        self._written = dict(places)
        self._rules = rules
        self._since_ms = since_ms
        self._is_pruned = is_pruned
        self.is_cut = is_cut
        """Whether Postgres holds a cut."""
        self._ready: Entries = {}
        """What the next cut changes."""
        self._cut: Ended | None = None
        """The next cut: its transaction, with the offsets in `_cut_places`."""
        self._cut_places: dict[Changelog, int] = {}
        self._bytes = 0
        self.reopen: Reason | None = None
        """Set where reading on would not do: forget everything, and open the partition again."""
        for log in CHANGELOGS:
            self.reached(log, places[log], asked_s)

    @property
    def dirty(self) -> int:
        """How many entries are read and not written."""
        return sum(map(len, self._parts()))

    @property
    def is_full(self) -> bool:
        """Whether something has to be written before more is read."""
        return self._bytes >= self._bounds.most_bytes or self.dirty >= self._bounds.most_entries

    @property
    def is_level(self) -> bool:
        """Whether Postgres holds all that is known to be in the logs."""
        return self.is_cut and self._cut is None and not self.dirty and self.is_following

    @property
    def is_following(self) -> bool:
        """Whether both logs are read to the ends that they had, so that the next cut is near."""
        return all(one.is_passed for one in self._logs.values())

    def places(self) -> dict[Changelog, int]:
        """Return the next offset to read of each log."""
        return {log: one.next_offset for log, one in self._logs.items()}

    def wanted(self) -> Sequence[Changelog]:
        """Return the logs to read on: where one is far ahead only the other."""
        if not self.is_full or not self.is_following:
            return CHANGELOGS
        least = min(one.seq for one in self._logs.values())
        # A transaction that only one log has read to its end is soon there in the other.
        return [log for log, one in self._logs.items() if one.seq == least]

    def apply(self, log: Changelog, records: Sequence[Record], now_s: float) -> None:
        """Take the next records of a log, in their order."""
        if not records:
            return
        one = self._logs[log]
        if one.is_read_late(records[-1].timestamp, now_s, self._bounds.young_seconds):
            self.reopen = self.reopen or "behind"
        kind_of = self._sieve.kind_of if log in self._sieve.logs else None
        for record in records:
            key = record.key
            if key == PROGRESS_KEY:
                one.end(record)
            elif kind_of is not None and (kind := kind_of(log, key)) is not None:
                one.open[kind, key] = record.value
                self._bytes += len(key) + len(record.value or b"") + KEY_BYTES
        one.next_offset = records[-1].offset + 1
        if self._bytes >= self._bounds.most_bytes:
            self._weigh()
        self._join()

    def reached(self, log: Changelog, position: int, now_s: float, is_at_end: bool = False) -> None:
        """Note a reader's position; `is_at_end` says that the log ended there at `now_s`, or later."""
        one = self._logs[log]
        # A marker without a record may be all that lies between.
        if position + 1 >= one.known_end or is_at_end:
            age_seconds = 0.0 if one.is_passed else now_s - one.asked_s
            if age_seconds >= self._bounds.young_seconds and not is_at_end:
                self.reopen = self.reopen or "behind"
                return
            if age_seconds * 1000 > self._bounds.tombstones_ms:
                # What was read before may have been deleted since, and the deletion may be gone as well.
                self.reopen = "slept"
                return
            one.is_passed = True
            if is_at_end:
                one.known_end, one.asked_s, one.live = position, now_s, one.newest
                if self.is_level:
                    # What comes after a quiet week is read as it comes: no tombstone was missed.
                    self._since_ms = 0
        self._join()

    def next_write(self) -> Write | None:
        """Return what to write now: a cut if there is one, else a chunk if there is too much; else None.

        What is returned is forgotten: after a failure to write it the partition has to be opened again.
        """
        if self._cut is not None and self.is_following:
            return self._of_cut()
        # Who follows reads on to the next cut. A recount by other rules may be longer than memory allows.
        is_overfull = self._bytes >= OVERFULL * self._bounds.most_bytes
        return self._chunk() if is_overfull or (self.is_full and not self.is_following) else None

    def pruned(self) -> None:
        """Note that nothing is left in Postgres that the epoch has not written."""
        self._is_pruned = True

    def _of_cut(self) -> Write:
        assert self._cut is not None  # noqa: S101 - the caller looked
        if not self._is_pruned:
            self.is_cut = False
            return Write({}, dict(self._written), is_pruning=True)
        write = Write(self._ready, dict(self._cut_places), self._cut)
        self._ready, self._cut, self.is_cut = {}, None, True
        self._written = dict(self._cut_places)
        self._since_ms = write.cut.at_ms if write.cut else self._since_ms
        self._weigh()
        return write

    def _chunk(self) -> Write:
        """Return all that is read; Postgres is a picture of no moment then, until a cut from here on."""
        entries, self._ready, self._cut = self._ready, {}, None
        for log, one in self._logs.items():
            read, self._written[log] = one.abandon_cuts()
            entries.update(read)
        self.is_cut = False
        self._weigh()
        return Write(entries, dict(self._written))

    def _parts(self) -> Iterator[Entries]:
        yield self._ready
        for one in self._logs.values():
            yield from one.parts()

    def _weigh(self) -> None:
        self._bytes = sum(
            len(key[1]) + len(value or b"") + KEY_BYTES
            for part in self._parts()
            for key, value in part.items()
        )

    def _join(self) -> None:
        """Move what both logs have of the next cut into it."""
        if not self.is_following or self.reopen:
            return
        boundary = self._boundary()
        if boundary is None:
            return
        if self._rules and boundary.rules != self._rules:
            self.reopen = "rules"
            return
        if self._since_ms and boundary.at_ms - self._since_ms > self._bounds.tombstones_ms:
            self.reopen = "slept"
            return
        for log, one in self._logs.items():
            changed, self._cut_places[log] = one.give(boundary.seq)
            self._ready.update(changed)
        self._rules, self._cut = boundary.rules, boundary

    def _boundary(self) -> Ended | None:
        """Return the newest transaction whose end was read from both logs; of the two ends the older one."""
        least = max(one.floor for one in self._logs.values())
        ends: list[dict[int, Ended]] = [
            {segment.ended.seq: segment.ended for segment in one.ended} for one in self._logs.values()
        ]
        first, second = ends
        whole = [seq for seq in first.keys() & second.keys() if seq >= least and first[seq].is_boundary]
        if not whole:
            return None
        seq = max(whole)
        return min(first[seq], second[seq], key=lambda ended: ended.at_ms)
