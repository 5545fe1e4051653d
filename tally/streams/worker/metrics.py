"""Every metric of a worker in one typed list.

No label names a tenant, a campaign or a person: each label's values are a short closed list.
"""

import platform
from collections.abc import Callable, Collection, Mapping
from functools import partial
from itertools import product
from typing import get_args

from prometheus_client import Info

from tally.agents.lag.tracker import FACTS
from tally.agents.route.decision import EventOutcome
from tally.agents.view.model import View
from tally.schemas import notices
from tally.schemas.counter import Family
from tally.schemas.errors import REASONS
from tally.schemas.sources import OTHER, RAW_TOPICS, SEEN
from tally.schemas.topics import NUMBERS
from tally.streams.runtime.metric_set import Metric, MetricSet
from tally.streams.settings import ROLES, Role
from tally.streams.web.connections import CONNECTION_METRICS
from tally.streams.web.journal import journal_metrics
from tally.streams.web.routes import NEEDED
from tally.tables.postgres.sieve import BY_NAME
from tally.tables.store.errors import Rebuilt

LAG_TOPICS = (*RAW_TOPICS, FACTS)
GROUP_ROLES: tuple[Role, ...] = ("route", "fold", "sink")
SQLSTATE_CLASSES = (
    *("08", "0A", "22", "23", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX"),
    *("timeout", "connection", "moved", "kafka", "foreign_store", "newer_columns", "other_rules", OTHER),
)
"""Classes of PostgreSQL's error codes that the sink can meet, and the other causes of failure."""

JOURNAL_METRICS = journal_metrics(NEEDED)
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
RECORD_BUCKETS = (1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0)
RECOVERY_BUCKETS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)


def _counter(name: str, meaning: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, "counter", meaning, tuple(labels), tuple(product(*labels.values())))


def _gauge(name: str, meaning: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, "gauge", meaning, tuple(labels), tuple(product(*labels.values())))


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], **labels: tuple[str, ...]) -> Metric:
    return Metric(name, "histogram", meaning, tuple(labels), tuple(product(*labels.values())), buckets)


METRICS: tuple[Metric, ...] = (
    _counter("tally_events_total", "raw events read", topic=RAW_TOPICS, outcome=get_args(EventOutcome)),
    Metric(
        "tally_event_names_total",
        "counter",
        "what raw events held, by name from closed lists; the rest is `other`",
        ("kind", "name"),
        tuple((kind, name) for kind, names in SEEN.items() for name in sorted(names)),
    ),
    _counter("tally_facts_total", "facts counted", family=get_args(Family)),
    _counter("tally_batches_total", "batches of facts counted, one transaction each"),
    _histogram("tally_batch_records", "facts in a batch", RECORD_BUCKETS),
    _histogram("tally_batch_seconds", "time to count a batch, without its transaction", LATENCY_BUCKETS),
    _histogram("tally_commit_seconds", "time of a batch's transaction", LATENCY_BUCKETS),
    _gauge("tally_lag_records", "records that wait to be counted", topic=LAG_TOPICS),
    _gauge("tally_lag_seconds", "age of the latest moment that is known to be counted; NaN for none"),
    _histogram(
        "tally_event_to_view_seconds",
        "from Kafka's time of a batch's oldest raw event to its visibility here",
        LATENCY_BUCKETS,
    ),
    _gauge("tally_dirty_rows", "rows that are read and wait to be written to Postgres"),
    _gauge("tally_withheld_rows", "rows that Postgres cannot store; tried again now and then"),
    _gauge("tally_sink_lag_seconds", "age of the moment that Postgres shows, where there is a later one"),
    _gauge("tally_sink_catching_up", "partitions of which Postgres does not hold one moment"),
    _gauge("tally_sink_waiting", "partitions that cannot be written until somebody acts: the log says why"),
    _histogram("tally_sink_seconds", "time of a transaction in Postgres", LATENCY_BUCKETS),
    _histogram(
        "tally_sink_write_seconds",
        "time of a transaction's statements, by what they write",
        LATENCY_BUCKETS,
        kind=tuple(BY_NAME),
    ),
    _counter("tally_sink_rows_total", "rows that were new to Postgres, or other than it held"),
    _counter(
        "tally_sink_failures_total",
        "failures of the sink, by the class of their SQLSTATE or another cause",
        sqlstate_class=SQLSTATE_CLASSES,
    ),
    _gauge("tally_postgres_connections_used", "connections to Postgres in use"),
    _gauge("tally_postgres_connections_waiting", "transactions that wait for a connection"),
    _gauge(
        "tally_postgres_connection_wait_seconds",
        "how long the last transaction waited for its connection, or one that waits has waited",
    ),
    _gauge("tally_waiting_states", "messages with a status and no send result yet, in all partitions"),
    _gauge("tally_contested_messages", "messages that several tenants claim, in all partitions"),
    _counter(
        "tally_dead_letters_total",
        "raw records and those of `numbers` that could not be read, and facts that could not be counted",
        topic=(*LAG_TOPICS, NUMBERS),
        reason=REASONS,
    ),
    _counter(
        "tally_lost_raw_records_total",
        "raw records, at most, that were gone before this process could read them",
        topic=RAW_TOPICS,
    ),
    _gauge(
        "tally_incomplete",
        "what is missing from the numbers and not acknowledged, by kind: docs/dashboards.md, receipts",
        kind=notices.KINDS,
    ),
    _gauge("tally_incomplete_acknowledged", "what is missing and was acknowledged", kind=notices.KINDS),
    _gauge("tally_campaigns_beyond_shown", "campaigns with more templates than an answer shows"),
    _gauge(
        "tally_campaigns_failing",
        "campaigns of the last 24 hours of which surely more than 10 % of what was sent has failed",
    ),
    _counter("tally_rebalances_total", "assignments of partitions by a consumer group", role=GROUP_ROLES),
    _counter(
        "tally_local_copies_rebuilt_total",
        "local copies of partitions that were wiped and read anew from their changelogs",
        reason=get_args(Rebuilt),
    ),
    _gauge("tally_opening_offsets", "offsets of changelogs still to be read before partitions are open"),
    _histogram("tally_recovery_seconds", "time to open a partition's tables", RECOVERY_BUCKETS),
    _gauge("tally_partitions_owned", "partitions that this process works on", role=GROUP_ROLES),
    _counter(
        "tally_identifiers_refused_total",
        "identifiers of customers that were shown with too many others: they identify nobody",
    ),
    *CONNECTION_METRICS,
    *JOURNAL_METRICS,
    _gauge("tally_facts_quarantined", "facts quarantined in all partitions; their numbers are too low"),
    _gauge("tally_last_progress_timestamp_seconds", "when a role last did any work; 0 for never", role=ROLES),
    Metric("tally_build_info", "info", "what is running here", ("version", "python"), ()),
)
"""All published metrics. Names never change; `process_*` come from the client library."""


_ROUTES = ("tally_events_total", "tally_event_names_total", "tally_lost_raw_records_total")
_FOLDS = (
    *("tally_facts_total", "tally_batches_total", "tally_batch_records", "tally_batch_seconds"),
    *("tally_commit_seconds", "tally_opening_offsets", "tally_recovery_seconds"),
    *("tally_local_copies_rebuilt_total", "tally_identifiers_refused_total"),
)
_LETTERS = ("tally_dead_letters_total",)
_SINKS = (
    *("tally_dirty_rows", "tally_withheld_rows", "tally_sink_lag_seconds", "tally_sink_catching_up"),
    *("tally_sink_waiting", "tally_sink_seconds", "tally_sink_write_seconds", "tally_sink_rows_total"),
    *("tally_sink_failures_total", "tally_postgres_connections_used", "tally_postgres_connections_waiting"),
    "tally_postgres_connection_wait_seconds",
)
_GROUPS = ("tally_rebalances_total", "tally_partitions_owned")
_VIEWS = (
    *("tally_lag_records", "tally_lag_seconds", "tally_waiting_states", "tally_contested_messages"),
    *("tally_incomplete", "tally_incomplete_acknowledged", "tally_campaigns_beyond_shown"),
    *(
        "tally_campaigns_failing",
        "tally_facts_quarantined",
        *(one.name for one in (*CONNECTION_METRICS, *JOURNAL_METRICS)),
    ),
)
MOVED_BY: Mapping[str, frozenset[Role]] = {
    **dict.fromkeys(_ROUTES, frozenset[Role]({"route"})),
    **dict.fromkeys(_FOLDS, frozenset[Role]({"fold"})),
    **dict.fromkeys(_LETTERS, frozenset[Role]({"route", "fold"})),
    **dict.fromkeys(_GROUPS, frozenset[Role](GROUP_ROLES)),
    **dict.fromkeys(_SINKS, frozenset[Role]({"sink"})),
    **dict.fromkeys(_VIEWS, frozenset[Role]({"view"})),
    "tally_event_to_view_seconds": frozenset[Role]({"view"}),
}
"""The roles that give a metric its values, where not every role does."""


def is_shown(roles: Collection[str], name: str, labels: Mapping[str, str]) -> bool:
    """Return whether a process with these roles shows a series, where a worker has several processes. Pure.

    One that it never moves would stand at 0 beside that of the process which does.
    """
    if "role" in labels and labels["role"] not in roles:
        return False
    movers = MOVED_BY.get(name)
    return movers is None or not movers.isdisjoint(roles)


class Metrics(MetricSet):
    """All metrics of one worker."""

    def __init__(self, version: str) -> None:
        super().__init__(METRICS)
        (info,) = (metric for metric in METRICS if metric.kind == "info")
        build = Info(info.name.removesuffix("_info"), info.help, registry=self.registry)
        build.info({"version": version, "python": platform.python_version()})
        self.set("tally_lag_seconds", float("nan"))


def follow_view(metrics: MetricSet, view: View, lag_seconds: Callable[[], float | None]) -> None:
    """Let the metrics of a view's numbers follow it."""
    metrics.follow("tally_lag_seconds", lambda: _or_nan(lag_seconds()))
    metrics.follow("tally_waiting_states", lambda: _summed(view, "waiting"))
    metrics.follow("tally_contested_messages", lambda: _summed(view, "contested"))
    metrics.follow("tally_campaigns_beyond_shown", lambda: float(view.beyond))
    metrics.follow("tally_facts_quarantined", lambda: _summed(view, "quarantined"))
    for kind in notices.KINDS:
        metrics.follow("tally_incomplete", partial(_lack, view, kind, False), kind=kind)
        metrics.follow("tally_incomplete_acknowledged", partial(_lack, view, kind, True), kind=kind)


def _summed(view: View, field: str) -> float:
    known = (view.progress(partition) for partition in range(view.partitions))
    return float(sum(getattr(progress, field) for progress in known if progress is not None))


def _lack(view: View, kind: str, is_acknowledged: bool) -> float:
    lack = view.lacks.all
    return float((lack.acknowledged if is_acknowledged else lack.incomplete).get(kind, 0))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
