"""The observer of a worker's roles: turns their reports into metrics, logs and pulses."""

from collections.abc import Callable, Mapping

import structlog
from msgspec import Struct

from tally.agents.lag.tracker import FACTS
from tally.agents.route.decision import RoutedRecords
from tally.agents.sink.ports import SinkState
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
    """Progress of reading a partition's tables, in offsets of its changelogs."""

    done: int
    whole: int
    began_s: float
    """Seconds of the monotonic clock."""

    def left_seconds(self, now_s: float) -> float | None:
        """Return the seconds that remain at the present rate; None while the rate is unknown."""
        if not self.done or now_s <= self.began_s:
            return None
        return (self.whole - self.done) * (now_s - self.began_s) / self.done


class WorkerObserver:
    """Observer of route, fold, sink and view; one for each process."""

    def __init__(self, metrics: Metrics, monotonic: Callable[[], float], unix_s: Callable[[], float]) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        self._unix_s = unix_s
        self._outstanding: dict[Role, Callable[[], int]] = {}
        self._idle_at: dict[Role, float] = {}
        self._progress_at: dict[Role, float] = {}
        self.openings: dict[int, Opening] = {}
        """Progress of the fold's partitions whose tables are being read."""
        self.joined: set[Role] = set()
        """Roles whose group has made an assignment to this process, even an empty one."""

    def follow(self, role: Role, outstanding: Callable[[], int]) -> None:
        """Use `outstanding` from now on for the number of a role's runs that should make progress.

        A fold that opens its tables reports none: an opening ends by itself once nothing arrives.
        """
        self._outstanding[role] = outstanding
        self._idle_at[role] = self._monotonic()

    def beat(self) -> None:
        """Record which roles are idle; to be called about every second."""
        for role, outstanding in self._outstanding.items():
            if not outstanding():
                self._idle_at[role] = self._monotonic()

    def progressed(self, role: Role) -> None:
        """Record that a role has done some work."""
        self._progress_at[role] = self._monotonic()
        self._metrics.set("tally_last_progress_timestamp_seconds", self._unix_s(), role=role)

    def pulses(self) -> dict[str, Pulse]:
        """Return the pulse of each role with work, for the decision whether this process is alive."""
        return {
            role: Pulse(self._idle_at[role], self._progress_at.get(role, self._idle_at[role]))
            for role, outstanding in self._outstanding.items()
            if outstanding()
        }

    def rebalanced(self, role: Role, owned: int) -> None:
        """Count an assignment of partitions by a role's group."""
        self.joined.add(role)
        self._metrics.count("tally_rebalances_total", role=role)
        self._metrics.set("tally_partitions_owned", owned, role=role)

    def revoked(self, role: Role) -> None:
        """Record that a role has lost all its partitions."""
        if role == "fold":
            self.openings.clear()
        self._metrics.set("tally_partitions_owned", 0, role=role)

    def routed(self, source: str, found: RoutedRecords) -> None:
        """Count raw records that were read, and whose facts and dead letters the brokers hold."""
        for outcome, count in found.outcomes.items():
            self._metrics.count("tally_events_total", count, topic=source, outcome=outcome)
        for (kind, name), count in found.seen.items():
            self._metrics.count("tally_event_names_total", count, kind=kind, name=name)
        self.progressed("route")

    def dead_letters(self, source: str, reason: Reason, count: int) -> None:
        """Count raw records that became dead letters."""
        self._metrics.count("tally_dead_letters_total", count, topic=source, reason=reason)

    def opening(self, partition: int, done: int, whole: int) -> None:
        """Record that `done` of `whole` changelog offsets of a partition's tables are read."""
        known = self.openings.get(partition)
        began_s = known.began_s if known and known.done <= done else self._monotonic()
        self.openings[partition] = Opening(done, whole, began_s)

    @property
    def offsets_to_open(self) -> int:
        """The number of changelog offsets still to be read."""
        return sum(opening.whole - opening.done for opening in self.openings.values())

    def opening_left_seconds(self) -> float | None:
        """Return the seconds until the partitions now being read are open; None if no rate is known."""
        now_s = self._monotonic()
        left = [opening.left_seconds(now_s) for opening in self.openings.values()]
        known = [left_s for left_s in left if left_s is not None]
        return max(known) if known else None

    def rebuilt(self, why: Rebuilt) -> None:
        """Count a local copy that was wiped and is read again from its changelogs."""
        self._metrics.count("tally_local_copies_rebuilt_total", reason=why)

    def noticed(self, reading: Reading) -> None:
        """Log a notice of route in the facts log: a first reading, or raw records lost before reading."""
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
        """Record that a partition's tables are ready."""
        self.openings.pop(partition, None)
        self._metrics.observe("tally_recovery_seconds", seconds)

    def folded(self, partition: int, facts: dict[str, int], fold_s: float, commit_s: float) -> None:  # noqa: ARG002
        """Count a committed batch of facts."""
        for table, count in facts.items():
            self._metrics.count("tally_facts_total", count, family=SINGULAR[table])
        self._metrics.count("tally_batches_total")
        self._metrics.observe("tally_batch_records", sum(facts.values()))
        self._metrics.observe("tally_batch_seconds", fold_s)
        self._metrics.observe("tally_commit_seconds", commit_s)
        self.progressed("fold")

    def refused(self, partition: int, identifiers: int) -> None:  # noqa: ARG002
        """Count identifiers that no longer identify a customer."""
        self._metrics.count("tally_identifiers_refused_total", identifiers)

    def quarantined(self, partition: int, facts: int) -> None:  # noqa: ARG002
        """Count quarantined facts."""
        self._metrics.count("tally_dead_letters_total", facts, topic=FACTS, reason="code_failure")

    def written(self, changed: Mapping[str, int], seconds: float, by_kind: Mapping[str, float]) -> None:
        """Record a committed transaction in Postgres."""
        self._metrics.count("tally_sink_rows_total", sum(changed.values()))
        self._metrics.observe("tally_sink_seconds", seconds)
        for kind, kind_seconds in by_kind.items():
            self._metrics.observe("tally_sink_write_seconds", kind_seconds, kind=kind)
        self.progressed("sink")

    def sink_failed(self, group: str) -> None:
        """Count a failure of the sink by its SQLSTATE class or other cause."""
        known = group if group in SQLSTATE_CLASSES else "other"
        self._metrics.count("tally_sink_failures_total", sqlstate_class=known)

    def sinking(self, state: SinkState) -> None:
        """Set what the sink has to do."""
        self._metrics.set("tally_dirty_rows", state.dirty)
        self._metrics.set("tally_withheld_rows", state.withheld)
        self._metrics.set("tally_sink_lag_seconds", state.lag_seconds)
        self._metrics.set("tally_sink_catching_up", state.catching_up)
        self._metrics.set("tally_sink_waiting", state.waiting)

    def visible(self, seconds: float) -> None:
        """Record the seconds from a batch's oldest raw event to its visibility in the view."""
        self._metrics.observe("tally_event_to_view_seconds", seconds)
        self.progressed("view")

    def lagging(self, records: Mapping[str, int]) -> None:
        """Set how many records wait in each topic."""
        for topic, waiting in records.items():
            self._metrics.set("tally_lag_records", waiting, topic=topic)


def _which(reading: Reading) -> dict[str, str | int]:
    return {"topic": reading.topic, "partition": reading.partition}
