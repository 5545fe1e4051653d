"""How far numbers are counted at this moment: receipts, vectors, lag and partitions."""

from collections.abc import Callable

from msgspec import Struct

from tally.agents.lag.tracker import LagTracker
from tally.agents.view.frames import Vector
from tally.agents.view.model import View
from tally.agents.view.receipt import Basis, Extent, Openings, Receipt, write_receipt
from tally.tables.postgres.moment import Held

WRITTEN_LAG_MS = 3_000
"""How much later than the view Postgres may be and be called live: it is written once a second."""


class PartitionStatus(Struct, frozen=True):
    """How far a partition is counted."""

    partition: int
    counted: int
    """Facts that are in the numbers."""
    behind: int | None
    """Facts that wait to be counted; None where the brokers have not said yet."""
    waiting_messages: int
    """Messages of which a status was seen, but no send result yet."""
    contested_messages: int
    """Messages that several tenants claim."""


class Freshness:
    """How far the view is counted, and Postgres; what is asked before the next await is of one moment."""

    def __init__(
        self,
        view: View,
        lag: LagTracker,
        generation: int,
        monotonic: Callable[[], float],
        live_lag_seconds: float = 2.0,
        openings: Callable[[], Openings] = dict,
    ) -> None:
        self._view = view
        self._lag = lag
        self._generation = generation
        self._monotonic = monotonic
        self._live_lag_ms = round(live_lag_seconds * 1000)
        self._openings = openings

    def receipt(self, tenant: str, campaign: str | None = None) -> Receipt:
        """Return the present receipt of a campaign; with None, of a whole tenant."""
        view, offsets = self._view, self._next_offsets()
        extent = Extent(view.ready_partitions, view.partitions, tuple(offsets.values()))
        basis = Basis(
            self._lag.as_of(offsets),
            self._monotonic(),
            self._generation,
            self._live_lag_ms,
            self._openings(),
        )
        return write_receipt(extent, basis, view.lacks.of(tenant, campaign))

    def written_receipt(self, held: Held, tenant: str, campaign: str | None) -> Receipt:
        """Return the receipt of what Postgres held; it is a second or two behind the view."""
        view = self._view
        # A partition in which nothing was ever counted is not in Postgres.
        progress = {partition: held.progress.get(partition, 0) for partition in range(view.partitions)}
        whole = [p for p in progress if p in held.progress or not view.next_offset(p)]
        ready = len(whole) if held.is_whole else 0
        extent = Extent(ready, view.partitions, tuple(progress.values()), held.withheld)
        as_of = self._lag.as_of_written(progress) if held.is_whole else None
        basis = Basis(as_of, self._monotonic(), self._generation, self._live_lag_ms + WRITTEN_LAG_MS)
        return write_receipt(extent, basis, view.lacks.of(tenant, campaign))

    def held(self) -> Vector:
        """Return how far all that is here was read."""
        return Vector(self._generation, self._view.whole_seqs())

    def reached(self) -> Vector:
        """Return how far any of what is here was read."""
        return Vector(self._generation, self._view.reached_seqs())

    def partitions(self) -> list[PartitionStatus]:
        """Return how far each partition is counted, and what waits in it."""
        behind = self._lag.facts_behind(self._next_offsets())
        found = []
        for partition in range(self._view.partitions):
            last = self._view.progress(partition)
            waiting, contested = (0, 0) if last is None else (last.waiting, last.contested)
            counted = self._view.next_offset(partition)
            found.append(PartitionStatus(partition, counted, behind.get(partition), waiting, contested))
        return found

    def records_behind(self) -> dict[str, int]:
        """Return how many records of each raw topic wait to be read, and facts to be counted."""
        return self._lag.lag_records(self._next_offsets())

    def lag_seconds(self) -> float | None:
        """Return the age of the latest moment that is known to be counted; None before the first."""
        as_of = self._lag.as_of(self._next_offsets())
        return None if as_of is None else max(0.0, self._monotonic() - as_of.monotonic_s)

    def _next_offsets(self) -> dict[int, int]:
        view = self._view
        return {partition: view.next_offset(partition) for partition in range(view.partitions)}
