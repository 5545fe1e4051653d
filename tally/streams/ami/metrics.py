"""What a bridge publishes about itself: one series a PBX, whose names the settings give."""

from collections.abc import Iterable
from itertools import product
from typing import Literal

from msgspec.structs import replace

from tally.streams.runtime.metric_set import Metric, MetricSet

Gap = Literal["lost", "buffer_full"]
GAPS: tuple[Gap, ...] = ("lost", "buffer_full")

PBX = ("pbx",)
METRICS: tuple[Metric, ...] = (
    Metric("tally_ami_connected", "gauge", "1 while the bridge is logged in at the PBX", PBX),
    Metric("tally_ami_events_total", "counter", "events taken from the PBX", PBX),
    Metric("tally_ami_nonsense_total", "counter", "packets that nobody can read, published as they are", PBX),
    Metric(
        "tally_ami_gaps_total",
        "counter",
        "times that events were missed: the session was lost, or closed because the buffer was full",
        ("pbx", "reason"),
    ),
    Metric("tally_ami_reconnects_total", "counter", "connections tried again", PBX),
    Metric("tally_ami_login_failures_total", "counter", "logins that the PBX refused", PBX),
    Metric("tally_ami_refused_actions_total", "counter", "filters and lists that the PBX refused", PBX),
    Metric("tally_ami_published_total", "counter", "packets that Kafka has acknowledged", PBX),
    Metric("tally_ami_publish_failures_total", "counter", "tries to publish that failed", PBX),
    Metric("tally_ami_buffer_records", "gauge", "packets that wait for Kafka", PBX),
    Metric("tally_ami_buffer_bytes", "gauge", "bytes of them", PBX),
    Metric(
        "tally_ami_lag_seconds", "gauge", "age of the oldest packet that waits for Kafka; 0 for none", PBX
    ),
)
"""Names never change; `process_*` come from the client library."""

_EXTRA_LABELS = {"tally_ami_gaps_total": (GAPS,)}


class AmiMetrics(MetricSet):
    """All metrics of a bridge, with the series of its PBXs."""

    def __init__(self, pbxs: Iterable[str]) -> None:
        names = tuple(pbxs)
        super().__init__(
            [
                replace(metric, series=tuple(product(names, *_EXTRA_LABELS.get(metric.name, ()))))
                for metric in METRICS
            ]
        )
