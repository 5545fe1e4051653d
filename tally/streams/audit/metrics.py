"""Metrics of a continuous audit: how far rows differ from their sources."""

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from tally.agents.audit.drift import SOURCES, Source
from tally.streams.audit.examine import Audit
from tally.streams.runtime.metric_set import Metric, MetricSet

DRIFT = "tally_audit_drift"
METRICS: tuple[Metric, ...] = (
    Metric(
        DRIFT,
        "gauge",
        "counters that differ, by what rows were compared with in the last audit; NaN where it was not",
        ("source",),
        tuple((source,) for source in SOURCES),
    ),
    Metric("tally_audit_rows", "gauge", "rows in the last audit"),
    Metric(
        "tally_audit_behind_rows",
        "gauge",
        "rows that Postgres or the view were behind with in the last audit, so that it says nothing of them",
    ),
    Metric("tally_audit_timestamp_seconds", "gauge", "when the last audit ended; 0 for never"),
    Metric("tally_audit_failures_total", "counter", "audits that could not be made"),
)
"""Names never change; `process_*` come from the client library."""


class AuditMetrics(MetricSet):
    """All metrics of an audit, with a series for each source that it is to compare with."""

    def __init__(self, sources: Sequence[Source]) -> None:
        series = tuple((source,) for source in sources)
        super().__init__([replace(one, series=series) if one.name == DRIFT else one for one in METRICS])
        self._sources = sources
        for source in sources:
            self.set(DRIFT, float("nan"), source=source)

    def publish(self, found: Audit, unix_s: float) -> None:
        """Publish the findings of an audit that has just ended."""
        differing = Counter(one.source for one in found.drift)
        for source in self._sources:
            is_known = source in found.compared
            self.set(DRIFT, differing[source] if is_known else float("nan"), source=source)
        self.set("tally_audit_rows", found.rows)
        self.set("tally_audit_behind_rows", found.behind + found.view_behind)
        self.set("tally_audit_timestamp_seconds", unix_s)

    def failed(self) -> None:
        """Count an audit that could not be made."""
        self.count("tally_audit_failures_total")
