"""What a bridge publishes about itself: one series a PBX, whose names the settings give."""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from tally.streams.metrics import Metric

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


class AmiMetrics:
    """All metrics of a bridge in a registry of their own; every series shows from the start."""

    def __init__(self, pbxs: Iterable[str]) -> None:
        # `_created` would double the series of every counter.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._series: dict[tuple[str, ...], Any] = {}
        names = tuple(pbxs)
        for metric in METRICS:
            family = (Counter if metric.kind == "counter" else Gauge)(
                metric.name, metric.help, metric.labels, registry=self.registry
            )
            for values in product(names, *_EXTRA_LABELS.get(metric.name, ())):
                self._series[metric.name, *values] = family.labels(*values)

    def count(self, name: str, pbx: str, *labels: str, amount: float = 1) -> None:
        """Add to a counter. Raises KeyError: a metric or a label's value that is not in the list."""
        self._series[name, pbx, *labels].inc(amount)

    def set(self, name: str, pbx: str, value: float) -> None:
        """Set a gauge. Raises KeyError as `count` does."""
        self._series[name, pbx].set(value)

    def follow(self, name: str, pbx: str, value: Callable[[], float]) -> None:
        """Let a gauge ask for its value whenever it is read. Raises KeyError as `count` does."""
        self._series[name, pbx].set_function(value)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
