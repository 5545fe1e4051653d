"""The two logs of one partition in memory, with compaction, and a Postgres that loses replies."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from tally.agents.sink.cuts import Bounds, Cuts, Write
from tally.agents.sink.opening import Begun, Found, Ours, begin
from tally.agents.sink.reading import Entries
from tally.schemas.rows import PROGRESS_KEY, Progress, encode
from tally.schemas.topics import CHANGELOGS, COUNTERS, STATES, Changelog
from tally.tables.postgres.progress import ProgressMoved, SinkProgress

LAG_SECONDS = 100.0
RETENTION_SECONDS = 1000.0
BOUNDS = Bounds(
    most_entries=6,
    most_bytes=4_000,
    compaction_lag_seconds=LAG_SECONDS,
    delete_retention_seconds=RETENTION_SECONDS,
)
OURS = Ours("0002-aa")
START_MS = 1_795_350_000_000

Held = dict[tuple[str, bytes], bytes]


class LogRecord(Struct, frozen=True):
    """A record as a consumer gives it."""

    key: bytes
    value: bytes | None
    offset: int
    timestamp: int


class BothKinds:
    """Rows come from counters, cells from states."""

    def kind_of(self, log: Changelog, key: bytes) -> str | None:
        if key.startswith(b"\x00"):
            return None
        return "rows" if log == COUNTERS else "cells"

    @property
    def logs(self) -> frozenset[Changelog]:
        return frozenset(CHANGELOGS)


class Log:
    """One log: records at dense offsets, a marker after each transaction, and holes left by compaction."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.end = 0
        self._horizons_ms: dict[int, float] = {}
        """Until when a tombstone stays, by its offset; decided by the first compaction that looks at it."""

    def append(self, entries: Iterable[tuple[bytes, bytes | None]], at_ms: int) -> None:
        for key, value in entries:
            self.records.append(LogRecord(key, value, self.end, at_ms))
            self.end += 1
        self.end += 1

    def compact(self, now_ms: int, younger: int = 0) -> None:
        """Remove what is superseded and what was deleted long ago, but nothing younger than the lag.

        The cleaner ends where a segment does, which may be within a transaction: `younger` old records are
        left as they are. A tombstone stays for the time of retention after the first compaction that looks
        at it (KIP-534), so that nobody reads a value that is gone and misses its tombstone.
        """
        old = [record for record in self.records if record.timestamp <= now_ms - LAG_SECONDS * 1000]
        old = old[: max(0, len(old) - younger)]
        newest = {record.key: record for record in old}
        kept = [
            record for record in newest.values() if record.value is not None or self._stays(record, now_ms)
        ]
        self.records = sorted(kept, key=lambda record: record.offset) + self.records[len(old) :]

    def _stays(self, tombstone: LogRecord, now_ms: int) -> bool:
        horizon_ms = now_ms + RETENTION_SECONDS * 1000
        return now_ms < self._horizons_ms.setdefault(tombstone.offset, horizon_ms)

    def read(self, offset: int, most: int) -> list[LogRecord]:
        return [record for record in self.records if record.offset >= offset][:most]


class Partition:
    """A fold that commits rows and cells, and what each of its transactions left."""

    def __init__(self) -> None:
        self.logs: dict[Changelog, Log] = {log: Log() for log in CHANGELOGS}
        self.now_ms = START_MS
        self.seq = 0
        self.rules = "r1"
        self.store_id = "s1"
        self.topics = {log: f"{log}-id" for log in CHANGELOGS}
        self.moments: dict[int, Held] = {0: {}}

    def commit(
        self,
        rows: Mapping[bytes, bytes | None],
        cells: Mapping[bytes, bytes | None] | None = None,
        rules: str | None = None,
    ) -> None:
        """Commit one transaction over both logs."""
        self.seq += 1
        progress = Progress(self.seq, self.store_id, rules or self.rules, seq=self.seq)
        moment = dict(self.moments[self.seq - 1])
        changed: tuple[tuple[Changelog, str, Mapping[bytes, bytes | None]], ...]
        changed = ((STATES, "cells", cells or {}), (COUNTERS, "rows", rows))
        for log, kind, changes in changed:
            self.logs[log].append([*changes.items(), (PROGRESS_KEY, encode(progress))], self.now_ms)
            for key, value in changes.items():
                moment.pop((kind, key), None)
                if value is not None:
                    moment[kind, key] = value
        self.moments[self.seq] = moment

    def abort(self, rows: int) -> None:
        """Leave what an aborted transaction leaves to readers of what is committed: offsets."""
        for log in self.logs.values():
            log.end += rows + 1

    def forget_tombstones(self) -> None:
        """Let so much time pass, with compactions, that what is deleted by now leaves no trace."""
        for seconds in (2 * LAG_SECONDS, 2 * RETENTION_SECONDS):
            self.later(seconds)
            self.compact()

    def later(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)

    def compact(self, *younger: int) -> None:
        for log, left in zip(self.logs.values(), younger or (0, 0), strict=True):
            log.compact(self.now_ms, left)

    @property
    def now_s(self) -> float:
        return self.now_ms / 1000

    def found(self) -> Found:
        newest = Progress(self.seq, self.store_id, self.rules, seq=self.seq) if self.seq else None
        return Found(
            newest,
            self.topics,
            dict.fromkeys(CHANGELOGS, 0),
            {name: log.end for name, log in self.logs.items()},
        )


class Table:
    """What Postgres holds of one partition."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, bytes], tuple[bytes, int]] = {}
        self.progress: SinkProgress | None = None

    @property
    def held(self) -> Held:
        return {key: value for key, (value, _) in self.rows.items()}

    def write(self, entries: Entries, progress: SinkProgress, seen: SinkProgress | None) -> None:
        """Write all or nothing. Raises ProgressMoved."""
        if self.progress != seen:
            raise ProgressMoved
        self.progress = progress
        for key, value in entries.items():
            self.rows.pop(key, None)
            if value is not None:
                self.rows[key] = (value, progress.epoch)

    def prune(self, most: int) -> int:
        """Delete at most so many rows of other epochs; return how many."""
        assert self.progress is not None
        other = [key for key, (_, epoch) in self.rows.items() if epoch != self.progress.epoch][:most]
        for key in other:
            del self.rows[key]
        return len(other)


class Sink:
    """One sink that is stepped by hand: it opens, reads, writes, and forgets after any failure."""

    def __init__(self, partition: Partition, table: Table, name: str, bounds: Bounds = BOUNDS) -> None:
        self.partition = partition
        self.table = table
        self.name = name
        self.bounds = bounds
        self.cuts: Cuts | None = None
        self.begun: Begun | None = None
        self.seen: SinkProgress | None = None
        self.is_anew = False
        self.opened = 0
        self.clock_ms = 0
        """How far its clock is from the brokers'."""
        self.stopped_s = 0.0
        """For how long its own clock stood still."""

    @property
    def now_s(self) -> float:
        return self.partition.now_s - self.stopped_s

    def open(self) -> Cuts:
        at = self.partition
        self.seen = self.table.progress
        self.begun = begin(
            self.seen, at.found(), OURS, at.now_ms + self.clock_ms, self.bounds.tombstones_ms, self.is_anew
        )
        assert self.begun is not None, "nothing was ever committed"
        self.is_anew = False
        self.opened += 1
        self.cuts = Cuts(
            BothKinds(),
            self.bounds,
            places=self.begun.places,
            ends=at.found().ends,
            asked_s=self.now_s,
            rules=self.begun.rules,
            since_ms=0 if self.begun.is_new else self.begun.since_ms,
            is_pruned=self.begun.is_pruned,
            is_cut=self.begun.is_cut,
        )
        return self.cuts

    def forget(self) -> None:
        self.cuts = None

    def read(self, log: Changelog, most: int) -> None:
        """Read on in one log, if it is wanted."""
        cuts = self.cuts or self.open()
        if log not in cuts.wanted():
            return
        source = self.partition.logs[log]
        records = source.read(cuts.places()[log], most)
        cuts.apply(log, records, self.now_s)
        is_at_end = not source.read(cuts.places()[log], 1)
        position = source.end if is_at_end else cuts.places()[log]
        cuts.reached(log, position, self.now_s, is_at_end)
        self.reopen()

    def reopen(self) -> None:
        if self.cuts is not None and self.cuts.reopen:
            self.is_anew = self.cuts.reopen == "slept"
            self.forget()

    def write(self, *, is_reply_lost: bool = False) -> bool:
        """Write what is due; return whether there was anything."""
        cuts = self.cuts or self.open()
        if (write := cuts.next_write()) is None:
            return False
        try:
            self.send(write, cuts)
        except ProgressMoved:
            self.forget()
        if is_reply_lost:
            self.forget()
        return True

    def send(self, write: Write, cuts: Cuts) -> None:
        assert self.begun is not None
        progress = progress_after(write, self.begun, self.partition, self.seen, self.name, self.opened)
        self.table.write(write.entries, progress, self.seen)
        self.seen = progress
        if write.is_pruning and self.table.prune(2) < 2:
            cuts.pruned()
            self.begun = structs.replace(self.begun, is_pruned=True)

    def look(self) -> None:
        """Notice that another has written, or that a dump was restored."""
        if self.seen != self.table.progress:
            self.forget()

    def run_to_end(self) -> None:
        """Read and write until nothing is left. Raises AssertionError if that takes for ever."""
        self.look()
        for _ in range(200):
            for log in CHANGELOGS:
                self.read(log, 50)
            if not self.write() and self.cuts is not None and self._is_at_ends(self.cuts):
                return
        raise AssertionError("it never ends")

    def _is_at_ends(self, cuts: Cuts) -> bool:
        logs = self.partition.logs
        return cuts.is_cut and all(not logs[log].read(place, 1) for log, place in cuts.places().items())


def progress_after(
    write: Write, begun: Begun, partition: Partition, seen: SinkProgress | None, name: str, opened: int
) -> SinkProgress:
    cut = write.cut
    return SinkProgress(
        store_id=partition.store_id,
        states_topic=partition.topics[STATES],
        counters_topic=partition.topics[COUNTERS],
        seq=cut.seq if cut else (seen.seq if seen else 0),
        rules=cut.rules if cut else begun.rules,
        columns=OURS.columns,
        states_offset=write.places[STATES],
        counters_offset=write.places[COUNTERS],
        cut_at_ms=cut.at_ms if cut else begun.since_ms,
        facts_offset=cut.facts_offset if cut else (seen.facts_offset if seen else 0),
        is_cut=cut is not None,
        epoch=begun.epoch,
        is_pruned=begun.is_pruned,
        writer=f"{name}-{opened}",
        writes=(seen.writes if seen else 0) + 1,
    )
