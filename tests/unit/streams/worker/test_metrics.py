"""Metrics: one list, finite labels, conventional names, nothing global."""

import re
from collections import Counter

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from tally.schemas.errors import REASONS
from tally.schemas.records import Routed
from tally.schemas.sends.full import read_send
from tally.schemas.sources import RAW_TOPICS, SEEN
from tally.schemas.whatsapp.full import read_webhook
from tally.streams.worker.metrics import METRICS, MOVED_BY, Metrics, is_shown

PERSONAL = {"tenant", "campaign", "contact", "phone", "message_id", "template"}
MOST_SERIES, MOST_SERIES_A_ROUTE = 250, 20
"""Of one metric; the API has as many routes as it has, and of each some statuses."""


Series = frozenset[tuple[str, str]]
EVERYWHERE = {"tally_last_progress_timestamp_seconds", "tally_build_info"}


def exposed(metrics: Metrics) -> dict[str, dict[Series, float]]:
    body, _ = metrics.exposition("")
    shown: dict[str, dict[Series, float]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            shown.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return shown


def series(**labels: str) -> Series:
    return frozenset(labels.items())


def test_names_follow_prometheus_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"tally_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.help
        assert not re.search(r"_ms$|_millis|_minutes", metric.name)
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_labels_are_few_finite_and_name_nobody() -> None:
    for metric in METRICS:
        assert not PERSONAL & set(metric.labels)
        routes = {dict(zip(metric.labels, values, strict=True)).get("route") for values in metric.series}
        assert len(metric.series) <= (MOST_SERIES if routes == {None} else MOST_SERIES_A_ROUTE * len(routes))
        assert all(len(values) == len(metric.labels) for values in metric.series)


def test_every_series_shows_from_the_start() -> None:
    shown = exposed(Metrics("1.2.3"))
    for metric in METRICS:
        expected = {frozenset(zip(metric.labels, values, strict=True)) for values in metric.series}
        if metric.kind in ("counter", "gauge"):
            assert set(shown[metric.name]) == expected
        elif metric.kind == "histogram":
            assert shown[f"{metric.name}_count"] == dict.fromkeys(expected, 0.0)
    assert "process_resident_memory_bytes" in shown
    (build,) = shown["tally_build_info"]
    assert ("version", "1.2.3") in build
    assert not any(name.endswith("_created") for name in shown)


def test_counters_gauges_and_histograms_take_their_values() -> None:
    metrics = Metrics("0")
    metrics.count("tally_events_total", 3, topic="webhook-events", outcome="good")
    metrics.set("tally_lag_records", 7, topic="facts")
    metrics.follow("tally_lag_seconds", lambda: 0.25)
    metrics.observe("tally_batch_seconds", 0.3)
    shown = exposed(metrics)
    assert shown["tally_events_total"][series(topic="webhook-events", outcome="good")] == 3
    assert shown["tally_lag_records"][series(topic="facts")] == 7
    assert shown["tally_lag_seconds"][series()] == 0.25
    assert shown["tally_batch_seconds_sum"][series()] == 0.3


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("tally_events_total", {"topic": "webhook-events", "outcome": "odd"}),
        ("tally_events_total", {"topic": "webhook-events"}),
        ("tally_events_total", {"topic": "webhook-events", "outcome": "good", "tenant": "t1"}),
        ("tally_batches_total", {"tenant": "t1"}),
        ("tally_invented_total", {}),
    ],
)
def test_what_is_not_listed_is_refused(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        Metrics("0").count(name, **labels)


def test_two_processes_worth_of_metrics_do_not_meet_in_a_global_registry() -> None:
    before = {family.name for family in REGISTRY.collect()}
    Metrics("0")
    Metrics("0")
    assert {family.name for family in REGISTRY.collect()} == before


def test_openmetrics_is_answered_where_it_is_asked_for() -> None:
    body, content_type = Metrics("0").exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_every_reason_of_a_dead_letter_and_every_raw_topic_has_a_series() -> None:
    (dead_letters,) = [metric for metric in METRICS if metric.name == "tally_dead_letters_total"]
    assert {(topic, reason) for topic in RAW_TOPICS for reason in REASONS} <= set(dead_letters.series)


ODD_WEBHOOK = b"""{"object": "whatsapp_business_account", "entry": [{"changes": [
  {"field": "invented", "value": {}},
  {"field": "messages", "value": {"metadata": {"phone_number_id": "1"},
    "statuses": [{"id": "w1", "status": "invented", "timestamp": "1795350873", "odd": 1, "recipient_id": "2"},
                 {"type": "call"}],
    "messages": [{"id": "w2", "type": "invented", "timestamp": "1795350873", "from": "2"}]}}]}]}"""
ODD_SEND = b"""{"tenant": 1, "channel": "whatsapp", "campaign": 1, "contact": {"id": 1}, "outcome": "queued",
  "phone_number_id": "1", "time": 1795350873904, "odd": 1}"""


@pytest.mark.parametrize("routed", [read_webhook(ODD_WEBHOOK), read_send(ODD_SEND)])
def test_whatever_an_event_holds_is_counted_under_a_listed_name(routed: Routed) -> None:
    metrics = Metrics("0")
    assert routed.seen
    for (kind, name), times in Counter(routed.seen).items():
        assert name in SEEN[kind]
        metrics.count("tally_event_names_total", times, kind=kind, name=name)


def test_every_metric_is_shown_by_a_role_and_no_other_name_is() -> None:
    names = {metric.name for metric in METRICS}

    assert names - MOVED_BY.keys() == EVERYWHERE
    assert MOVED_BY.keys() <= names
    assert all(MOVED_BY.values())


def test_of_several_processes_each_shows_what_its_roles_move() -> None:
    assert is_shown(("route",), "tally_events_total", {"topic": "send-results"})
    assert not is_shown(("route",), "tally_lag_seconds", {})
    assert is_shown(("fold", "view"), "tally_lag_seconds", {})
    assert is_shown(("route",), "process_cpu_seconds_total", {})
    assert is_shown(("route",), "tally_partitions_owned", {"role": "route"})
    assert not is_shown(("route",), "tally_partitions_owned", {"role": "fold"})
