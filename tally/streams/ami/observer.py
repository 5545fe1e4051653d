"""The observer of one PBX: log lines and metrics, one series for each configured PBX name."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Literal

import structlog
from msgspec.structs import replace

from tally.streams.ami.buffer import Buffer
from tally.streams.ami.ports import CollectorPorts
from tally.streams.runtime.exit import describe
from tally.streams.runtime.metric_set import Metric, MetricSet

Gap = Literal["lost", "buffer_full"]
GAPS: tuple[Gap, ...] = ("lost", "buffer_full")

PBX = ("pbx",)
METRICS: tuple[Metric, ...] = (
    Metric("tally_ami_connected", "gauge", "1 while the collector is logged in at the PBX", PBX),
    Metric("tally_ami_events_total", "counter", "events that the PBX sent", PBX),
    Metric(
        "tally_ami_malformed_total", "counter", "packets that nobody can read, published as they are", PBX
    ),
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
    """All metrics of a collector, with the series of its PBXs."""

    def __init__(self, pbxs: Iterable[str]) -> None:
        names = tuple(pbxs)
        super().__init__(
            [
                replace(metric, series=tuple(product(names, *_EXTRA_LABELS.get(metric.name, ()))))
                for metric in METRICS
            ]
        )


log = structlog.get_logger()


class PbxObserver:
    """Observer of one PBX's link and publishing."""

    def __init__(self, pbx: str, metrics: AmiMetrics, buffer: Buffer, ports: CollectorPorts) -> None:
        self._pbx = pbx
        self._metrics = metrics
        self._buffer = buffer
        self._ports = ports
        self.is_open = False
        """Whether the collector is logged in."""
        self.trouble = ""
        """Why Kafka does not take events; empty if it does."""
        metrics.set("tally_ami_connected", 0, pbx=pbx)
        metrics.follow("tally_ami_buffer_records", lambda: len(buffer), pbx=pbx)
        metrics.follow("tally_ami_buffer_bytes", lambda: buffer.bytes, pbx=pbx)
        metrics.follow("tally_ami_lag_seconds", self.lag_seconds, pbx=pbx)

    def lag_seconds(self) -> float:
        """Return the age in seconds of the oldest packet that waits for Kafka; 0 if none waits."""
        oldest_at_ms = self._buffer.oldest_at_ms
        return 0.0 if oldest_at_ms is None else max(0, self._ports.now_ms() - oldest_at_ms) / 1000

    def took(self, is_malformed: bool) -> None:
        """Count a packet that was put into the buffer."""
        self._count("tally_ami_malformed_total" if is_malformed else "tally_ami_events_total")

    def opened(self, banner: str) -> None:
        """Record an accepted login; events flow."""
        self.is_open = True
        self._metrics.set("tally_ami_connected", 1, pbx=self._pbx)
        log.info("AMI session open", pbx=self._pbx, server=banner)

    def refused(self, actions: Mapping[str, str]) -> None:
        """Log and count actions that the PBX refused; the values are its reasons."""
        for name, message in actions.items():
            self._count("tally_ami_refused_actions_total")
            log.warning("the PBX refuses an action", pbx=self._pbx, action=name, message=message)

    def closed(self) -> None:
        """Record the end of a session, whether it was lost or the collector stops."""
        self.is_open = False
        self._metrics.set("tally_ami_connected", 0, pbx=self._pbx)

    def gap(self, reason: Gap) -> None:
        """Count a gap: events are missed from now until the next session opens."""
        self._metrics.count("tally_ami_gaps_total", pbx=self._pbx, reason=reason)

    def lost(self, error: Exception, pause_seconds: float) -> None:
        """Log that a session was lost or could not be opened, with the pause before the next try."""
        retry = round(pause_seconds, 1)
        log.warning("no AMI session", pbx=self._pbx, reason=describe(error), retry_seconds=retry)

    def login_refused(self, error: Exception, pause_seconds: float) -> None:
        """Log and count a refused login; nothing is read from the PBX until its login is repaired."""
        self._count("tally_ami_login_failures_total")
        retry = round(pause_seconds, 1)
        log.error("AMI login refused", pbx=self._pbx, reason=str(error), retry_seconds=retry)

    def broke(self, error: Exception) -> None:
        """Log a failure of our own code; the link retries, so the other PBXs are not affected."""
        log.error("code failure at a PBX", pbx=self._pbx, reason=describe(error), exc_info=error)

    def reconnects(self) -> None:
        """Count a new attempt to connect."""
        self._count("tally_ami_reconnects_total")

    def waits_for_room(self) -> None:
        """Log that the buffer has not drained yet, so the PBX is not read."""
        log.warning("waits for Kafka before the PBX is read again", pbx=self._pbx, records=len(self._buffer))

    def published(self, records: int) -> None:
        """Count packets that Kafka has acknowledged."""
        if self.trouble:
            log.info("Kafka takes events again", pbx=self._pbx)
            self.trouble = ""
        self._metrics.count("tally_ami_published_total", records, pbx=self._pbx)

    def publish_failed(self, error: Exception) -> None:
        """Count a failed publish and log a new cause; the buffer keeps the packets."""
        self._count("tally_ami_publish_failures_total")
        # Logged once for each cause, not for each try.
        if self.trouble != (trouble := describe(error)):
            log.error("Kafka takes no events", pbx=self._pbx, reason=trouble, records=len(self._buffer))
            self.trouble = trouble

    def left(self, records: int) -> None:
        """Log packets that Kafka did not take before the collector stopped."""
        log.error("stops with unpublished events", pbx=self._pbx, records=records)

    def _count(self, name: str) -> None:
        self._metrics.count(name, pbx=self._pbx)
