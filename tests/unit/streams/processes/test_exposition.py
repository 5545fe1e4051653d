"""One page of metrics: no two series are the same, no counter falls, no gauge is of a dead process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from tally.streams.processes.exposition import Merged, Report, decode, encode, report_of
from tally.streams.runtime.metric_set import exposition

Values = dict[tuple[str, str], float]


class Made:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter("events_total", "events read", ("topic",), registry=self.registry)
        self.lag = Gauge("lag_seconds", "how far behind", registry=self.registry)
        self.took = Histogram("batch_seconds", "time of a batch", registry=self.registry, buckets=(1.0,))

    def told(self) -> Report:
        return decode(encode(report_of(self.registry)))


def shown(merged: Merged, **reports: Report | None) -> Values:
    text = exposition(merged.page(reports), "")[0].decode()
    values: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series = (sample.name, sample.labels["process"])
            assert series not in values or sample.labels.keys() > {"process"}
            values[series] = sample.value
    return values


def test_each_process_has_its_own_series() -> None:
    route, view = Made(), Made()
    route.events.labels("webhooks").inc(3)
    view.events.labels("webhooks").inc(5)

    values = shown(Merged(), route=route.told(), view=view.told())

    assert values["events_total", "route"] == 3
    assert values["events_total", "view"] == 5


def test_a_metric_is_described_once_however_many_processes_have_it() -> None:
    page = Merged().page({"route": Made().told(), "view": Made().told()})
    text = exposition(page, "")[0].decode()

    assert text.count("# TYPE lag_seconds gauge") == 1


def test_of_a_process_that_reports_no_longer_counters_stand_and_gauges_go() -> None:
    route, view, merged = Made(), Made(), Merged()
    view.events.labels("webhooks").inc(5)
    view.lag.set(0.4)
    view.took.observe(0.5)
    before = shown(merged, route=route.told(), view=view.told())
    after = shown(merged, route=route.told(), view=None)

    assert before["lag_seconds", "view"] == 0.4
    assert after["events_total", "view"] == 5
    assert after["batch_seconds_sum", "view"] == 0.5
    assert ("lag_seconds", "view") not in after
    assert after["lag_seconds", "route"] == 0


def test_a_process_that_reports_again_goes_on_where_it_was() -> None:
    view, merged = Made(), Merged()
    view.events.labels("webhooks").inc(5)
    shown(merged, view=view.told())
    shown(merged, view=None)
    view.events.labels("webhooks").inc()

    assert shown(merged, view=view.told())["events_total", "view"] == 6


def test_a_process_that_never_reported_has_no_series() -> None:
    assert shown(Merged(), view=None) == {}


def test_open_metrics_has_the_same_page() -> None:
    body, content_type = exposition(Merged().page({"route": Made().told()}), "application/openmetrics-text")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_what_a_process_does_not_show_leaves_no_name_behind() -> None:
    made = Made()
    made.events.labels("webhooks").inc(3)
    report = report_of(made.registry, lambda name, labels: name == "events_total" and "topic" in labels)

    assert [family.name for family in report] == ["events"]
