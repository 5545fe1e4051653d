"""What agents report, as metrics and as a pulse."""

from collections.abc import Callable, Mapping

import structlog
from msgspec import Struct

from tally.agents.lag.tracker import FACTS
from tally.agents.route.decision import RoutedRun
from tally.schemas.errors import Reason
from tally.schemas.notices import Reading
from tally.streams.runtime.health import Pulse
from tally.streams.settings import Role
from tally.streams.worker.metrics import SQLSTATE_CLASSES, Metrics
from tally.tables.families.registry import FAMILIES
from tally.tables.store.errors import Rebuilt

log = structlog.get_logger()

SINGULAR = {family.table: family.table.removesuffix("s") for family in FAMILIES}


class Opening(Struct, frozen=True):
    """How far a partition's tables are read, in offsets of its changelogs."""

    done: int
    whole: int
    began_s: float
    """By the monotonic clock."""

    def left_seconds(self, now_s: float) -> float | None:
        """Return in how many seconds it will be done at the present rate; None while there is none."""
        if not self.done or now_s <= self.began_s:
            return None
        return (self.whole - self.done) * (now_s - self.began_s) / self.done


class WorkerObserver:
    """One for a process: takes the reports of route, fold and flush."""

    def __init__(self, metrics: Metrics, monotonic: Callable[[], float], unix_s: Callable[[], float]) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        self._unix_s = unix_s
        self._outstanding: dict[Role, Callable[[], int]] = {}
        self._idle_at: dict[Role, float] = {}
        self._progress_at: dict[Role, float] = {}
        self.openings: dict[int, Opening] = {}
        """By partition of the fold whose tables are being read, how far that is."""
        self.joined: set[Role] = set()
        """Roles whose group has assigned partitions to this process, if only none."""

    def follow(self, role: Role, outstanding: Callable[[], int]) -> None:
        """Ask from now on how many runs of a role are under way, and should make progress.

        A fold that opens its tables has none: an opening ends by itself once nothing arrives.
        """
        self._outstanding[role] = outstanding
        self._idle_at[role] = self._monotonic()

    def beat(self) -> None:
        """Note which roles have nothing to do; to be called every second or so."""
        for role, outstanding in self._outstanding.items():
            if not outstanding():
                self._idle_at[role] = self._monotonic()

    def progressed(self, role: Role) -> None:
        """A role has done some work."""
        self._progress_at[role] = self._monotonic()
        self._metrics.set("tally_last_progress_timestamp_seconds", self._unix_s(), role=role)

    def pulses(self) -> dict[str, Pulse]:
        """Return each role's work, for the decision whether this process is alive."""
        return {
            role: Pulse(self._idle_at[role], self._progress_at.get(role, self._idle_at[role]))
            for role, outstanding in self._outstanding.items()
            if outstanding()
        }

    def rebalanced(self, role: Role, owned: int) -> None:
        """The group has assigned partitions anew."""
        self.joined.add(role)
        self._metrics.count("tally_rebalances_total", role=role)
        self._metrics.set("tally_partitions_owned", owned, role=role)

    def revoked(self, role: Role) -> None:
        """All partitions are given away."""
        if role == "fold":
            self.openings.clear()
        self._metrics.set("tally_partitions_owned", 0, role=role)

    def routed(self, source: str, run: RoutedRun) -> None:
        """A raw run is read, its facts and dead letters are safe."""
        for outcome, count in run.outcomes.items():
            self._metrics.count("tally_events_total", count, source=source, outcome=outcome)
        for (kind, name), count in run.seen.items():
            self._metrics.count("tally_event_names_total", count, kind=kind, name=name)
        self.progressed("route")

    def dead_letters(self, source: str, reason: Reason, count: int) -> None:
        """So many raw records became dead letters."""
        self._metrics.count("tally_dead_letters_total", count, topic=source, reason=reason)

    def opening(self, partition: int, done: int, whole: int) -> None:
        """A partition's tables are read: so many offsets of its changelogs, of how many."""
        known = self.openings.get(partition)
        began_s = known.began_s if known and known.done <= done else self._monotonic()
        self.openings[partition] = Opening(done, whole, began_s)

    @property
    def offsets_to_open(self) -> int:
        """Offsets of changelogs that are still to be read."""
        return sum(opening.whole - opening.done for opening in self.openings.values())

    def opening_left_seconds(self) -> float | None:
        """Return in how long the partitions that are read now will be open; None where no rate is known."""
        now_s = self._monotonic()
        left = [opening.left_seconds(now_s) for opening in self.openings.values()]
        known = [left_s for left_s in left if left_s is not None]
        return max(known) if known else None

    def rebuilt(self, why: Rebuilt) -> None:
        """A local copy was wiped, to be read anew."""
        self._metrics.count("tally_local_copies_rebuilt_total", reason=why)

    def noticed(self, reading: Reading) -> None:
        """Route has said in the facts log where it starts, or what was gone before it was read."""
        if reading.lost is None:
            log.info(
                "a raw partition is read for the first time", **_which(reading), begun_at=reading.begun_at
            )
            return
        lost = reading.lost[1] - reading.lost[0]
        self._metrics.count("tally_lost_raw_records_total", lost, topic=reading.topic)
        log.error(
            "raw records were gone before they were read", **_which(reading), lost=lost, range=reading.lost
        )

    def opened(self, partition: int, seconds: float, records: int) -> None:  # noqa: ARG002 - FoldObserver's
        """A partition's tables are ready."""
        self.openings.pop(partition, None)
        self._metrics.observe("tally_recovery_seconds", seconds)

    def folded(self, partition: int, facts: dict[str, int], fold_s: float, commit_s: float) -> None:  # noqa: ARG002
        """A batch of facts is counted."""
        for table, count in facts.items():
            self._metrics.count("tally_facts_total", count, family=SINGULAR[table])
        self._metrics.count("tally_batches_total")
        self._metrics.observe("tally_batch_records", sum(facts.values()))
        self._metrics.observe("tally_batch_seconds", fold_s)
        self._metrics.observe("tally_commit_seconds", commit_s)
        self.progressed("fold")

    def refused(self, partition: int, identifiers: int) -> None:  # noqa: ARG002
        """Identifiers have come to identify nobody."""
        self._metrics.count("tally_identifiers_refused_total", identifiers)

    def quarantined(self, partition: int, facts: int) -> None:  # noqa: ARG002
        """Facts were quarantined."""
        self._metrics.count("tally_dead_letters_total", facts, topic=FACTS, reason="code_failure")

    def flushed(self, rows: int, seconds: float) -> None:
        """One transaction in Postgres was committed."""
        self._metrics.count("tally_flush_rows_total", rows)
        self._metrics.observe("tally_flush_seconds", seconds)
        self.progressed("flush")

    def failed(self, group: str) -> None:
        """A flush failed: SQLSTATE class, or what else it was."""
        known = group if group in SQLSTATE_CLASSES else "other"
        self._metrics.count("tally_flush_failures_total", sqlstate_class=known)

    def unflushed(self, dirty_rows: int, withheld_rows: int, lag_seconds: float) -> None:
        """So many rows are still to be written, so many cannot be, and the oldest has waited so long."""
        self._metrics.set("tally_dirty_rows", dirty_rows)
        self._metrics.set("tally_withheld_rows", withheld_rows)
        self._metrics.set("tally_flush_lag_seconds", lag_seconds)

    def visible(self, seconds: float) -> None:
        """A batch's oldest raw event is visible."""
        self._metrics.observe("tally_event_to_view_seconds", seconds)
        self.progressed("view")

    def lagging(self, records: Mapping[str, int]) -> None:
        """So many records wait in each topic."""
        for topic, waiting in records.items():
            self._metrics.set("tally_lag_records", waiting, topic=topic)


def _which(reading: Reading) -> dict[str, str | int]:
    return {"topic": reading.topic, "partition": reading.partition}
