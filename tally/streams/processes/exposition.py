"""One page of metrics from those of several processes.

Each process reports its families of samples; here every sample gets the label `process`, so that no two
series are the same. Counters and histograms of a process that reports no longer stay as they were, so none
falls while the worker lives. Gauges are of processes that report: of one that is dead or stuck the last value
would be a lie.

Rejected: prometheus_client's own multiprocess mode. It writes to a mapped file at each count, and has neither
gauges that call a function nor `process_*`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, msgpack
from prometheus_client import CollectorRegistry, Metric

LABEL = "process"
CUMULATIVE = ("counter", "histogram")
"""Kinds of families whose values never fall."""


class Sample(Struct, array_like=True, frozen=True):
    """One value of one series."""

    name: str
    labels: dict[str, str]
    value: float


class Family(Struct, array_like=True, frozen=True):
    """All samples of one metric in one process."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


Report = tuple[Family, ...]
"""All metrics of one process at one moment."""

encode = msgpack.Encoder().encode
decode = msgpack.Decoder(Report).decode


Shown = Callable[[str, Mapping[str, str]], bool]
"""Whether a process shows a series, by the metric's name and the labels."""


def report_of(registry: CollectorRegistry, is_shown: Shown = lambda *_: True) -> Report:
    """Return the present values of the metrics of a registry that are to be shown."""
    return tuple(
        Family(family.name, family.type, family.documentation, samples)
        for family in registry.collect()
        if (samples := tuple(_samples(family, is_shown)))
    )


def _samples(family: Metric, is_shown: Shown) -> Iterator[Sample]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    for sample in family.samples:
        if is_shown(name, sample.labels):
            yield Sample(sample.name, dict(sample.labels), sample.value)


def lasting(report: Report) -> Report:
    """Return what of a report stands when its process reports no longer. Pure."""
    return tuple(family for family in report if family.kind in CUMULATIVE)


def merged(reports: Mapping[str, Report]) -> list[Metric]:
    """Return the families of all processes, by process name, each sample with the label `process`. Pure."""
    found: dict[str, Metric] = {}
    for process, report in reports.items():
        for family in report:
            one = found.setdefault(family.name, Metric(family.name, family.help, family.kind))
            for sample in family.samples:
                one.add_sample(sample.name, {LABEL: process, **sample.labels}, sample.value)
    return list(found.values())


class Merged:
    """What each process of a worker reported last."""

    def __init__(self) -> None:
        self._last: dict[str, Report] = {}

    def page(self, reports: Mapping[str, Report | None]) -> "Page":
        """Take the present reports, None for a process that does not report; return the page of all."""
        shown = {}
        for process, report in reports.items():
            shown[process] = lasting(self._last.get(process, ())) if report is None else report
            if report is not None:
                self._last[process] = report
        return Page(merged(shown))


class Page:
    """Families in the form in which the encoders of prometheus_client take them."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._families
