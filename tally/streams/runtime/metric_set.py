"""Metrics declared in a typed list, and the registry that keeps their values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

Kind = Literal["counter", "gauge", "histogram", "info"]
Values = tuple[str, ...]


class Metric(Struct, frozen=True):
    """One metric; `series` lists every combination of label values that can occur."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    series: tuple[Values, ...] = ((),)
    buckets: tuple[float, ...] = ()


class Collected(Protocol):
    """What has families of metrics: a registry, or a page of several processes."""

    def collect(self) -> Iterable[Any]:
        """Return the families."""


def exposition(metrics: Collected, accept: str) -> tuple[bytes, str]:
    """Return metrics in the format that an Accept header asks for, and the content type."""
    try:
        encode, content_type = choose_encoder(accept)
    except (ValueError, TypeError):  # an invalid version: such a client reads the plain format too
        encode, content_type = choose_encoder("")
    return encode(metrics), content_type


class MetricSet:
    """Metrics of one process in a separate registry; every series is exposed from the start."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        # `_created` would double the series of every counter and histogram.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._by_name = {metric.name: metric for metric in metrics}
        self._counters = self._build("counter", Counter)
        self._gauges = self._build("gauge", Gauge)
        self._histograms = self._build("histogram", Histogram)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter. Raises KeyError for a metric or label value that is not in the list."""
        self._counters[name, self._values(name, labels)].inc(amount)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge. Raises KeyError for a metric or label value that is not in the list."""
        self._gauges[name, self._values(name, labels)].set(value)

    def follow(self, name: str, value: Callable[[], float], /, **labels: str) -> None:
        """Let a gauge call `value` whenever it is read. Raises KeyError as `set` does."""
        self._gauges[name, self._values(name, labels)].set_function(value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add to a histogram. Raises KeyError for a metric or label value that is not in the list."""
        self._histograms[name, self._values(name, labels)].observe(value)

    def counter(self, name: str, /, **labels: str) -> Callable[[], None]:
        """Return what adds 1 to a counter, for where it happens thousands of times a second.

        Raises KeyError as `count` does.
        """
        counted: Callable[[], None] = self._counters[name, self._values(name, labels)].inc
        return counted

    def histogram(self, name: str, /, **labels: str) -> Callable[[float], None]:
        """Return what adds to a histogram, for the same. Raises KeyError as `observe` does."""
        observed: Callable[[float], None] = self._histograms[name, self._values(name, labels)].observe
        return observed

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format that an Accept header asks for, and the content type."""
        return exposition(self.registry, accept)

    def _build(self, kind: Kind, family: Callable[..., Any]) -> dict[tuple[str, Values], Any]:
        built = {}
        for metric in self._by_name.values():
            if metric.kind != kind:
                continue
            more = {"buckets": metric.buckets} if metric.buckets else {}
            parent = family(metric.name, metric.help, metric.labels, registry=self.registry, **more)
            for values in metric.series:
                built[metric.name, values] = parent.labels(*values) if values else parent
        return built

    def _values(self, name: str, labels: Mapping[str, str]) -> Values:
        wanted = self._by_name[name].labels
        if len(labels) != len(wanted):
            raise KeyError(f"{name} has the labels {', '.join(wanted) or '(none)'}")
        return tuple(labels[label] for label in wanted)
