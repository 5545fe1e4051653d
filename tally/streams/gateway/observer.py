"""What a gateway says about itself: metrics by app, and log lines at a limited rate."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import product
from typing import Literal, get_args

import structlog
from msgspec import Struct

from tally.schemas.reports import GatewayReport
from tally.streams.runtime.health import Verdict
from tally.streams.runtime.metric_set import Metric, MetricSet
from tally.streams.web.connections import CONNECTION_METRICS, Closed

Outcome = Literal[
    "accepted",
    "handshake",
    "handshake_refused",
    "forged",
    "unsupported",
    "slow",
    "cut",
    "too_large",
    "full",
    "unavailable",
]
"""What became of a request: safe at the brokers; a handshake; a signature that is missing or wrong; a body of
another type or encoding, too slow, never whole, or too large; no room for it; no acknowledgement in time."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

Posted = Literal["accepted", "refused", "not_acknowledged"]
"""What became of the items of a producer's body."""
POSTED: tuple[Posted, ...] = get_args(Posted)

ACK_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
SAID_AGAIN_SECONDS = 60.0


def metrics_of(apps: Iterable[str], topics: Iterable[str]) -> tuple[Metric, ...]:
    """Return the metrics of a gateway with these apps, and topics that producers post to. Pure.

    Names never change.
    """
    names = tuple(apps)
    by_app = tuple((name,) for name in names)
    return (
        Metric(
            "tally_gateway_webhooks_total",
            "counter",
            "webhooks and handshakes by app and what became of them",
            ("app", "outcome"),
            tuple(product(names, OUTCOMES)),
        ),
        Metric(
            "tally_gateway_accepted_timestamp_seconds",
            "gauge",
            "when the last webhook of an app was accepted; 0 for never: Meta tells nobody that it gave up",
            ("app",),
            by_app,
        ),
        Metric(
            "tally_gateway_ack_seconds",
            "histogram",
            "from the last byte of a body to the brokers' acknowledgement",
            buckets=ACK_BUCKETS,
        ),
        Metric(
            "tally_gateway_items_total",
            "counter",
            "items that producers posted by topic and what became of them: a body with a bad part is refused",
            ("topic", "outcome"),
            tuple(product(topics, POSTED)),
        ),
        Metric("tally_gateway_bytes_in_flight", "gauge", "bytes of bodies that are under way"),
        Metric("tally_gateway_up", "gauge", "1 while the brokers take what is published, else 0"),
        *CONNECTION_METRICS,
    )


log = structlog.get_logger()


class Clocks(Struct, frozen=True):
    """The clocks of a gateway."""

    now_ms: Callable[[], int]
    """Unix milliseconds, with which records are stamped."""
    seconds: Callable[[], float]
    """Monotonic seconds, by which waits are measured."""


class GatewayObserver:
    """Counts outcomes, and logs what somebody must know of."""

    def __init__(self, metrics: MetricSet, clocks: Clocks, apps: Collection[str]) -> None:
        self._metrics = metrics
        self._clocks = clocks
        self._count = {
            (app, outcome): metrics.counter("tally_gateway_webhooks_total", app=app, outcome=outcome)
            for app in apps
            for outcome in OUTCOMES
        }
        self._acknowledged = metrics.histogram("tally_gateway_ack_seconds")
        self._trouble = "not connected yet"
        self._said_s: dict[str, float] = {}
        self._since_ms = clocks.now_ms()
        self._accepted_at_ms = dict.fromkeys(apps, 0)
        for app in apps:
            accepted_s = partial(self._accepted_seconds, app)
            metrics.follow("tally_gateway_accepted_timestamp_seconds", accepted_s, app=app)
        self._answers = Counter[str]()
        self._items = Counter[str]()

    def ended(self, app: str, outcome: Outcome) -> None:
        """Count what became of a request of an app."""
        self._count[app, outcome]()
        self._answers[outcome] += 1
        if outcome == "accepted":
            self._accepted_at_ms[app] = self._clocks.now_ms()
        elif outcome in ("forged", "handshake_refused"):
            self._warn(app, outcome)

    def posted(self, topic: str, outcome: Posted, items: int) -> None:
        """Count what became of the items of a body."""
        self._metrics.count("tally_gateway_items_total", items, topic=topic, outcome=outcome)
        self._items[outcome] += items

    def acknowledged(self, seconds: float) -> None:
        """Note how long the brokers took."""
        self._acknowledged(seconds)

    def up(self) -> None:
        """Note that the brokers take records."""
        if self._trouble:
            self._metrics.set("tally_gateway_up", 1)
            log.info("the brokers take records")
            self._trouble = ""

    def down(self, trouble: str) -> None:
        """Note that they do not, and log a new cause."""
        self._metrics.set("tally_gateway_up", 0)
        if self._trouble != trouble:
            log.error("the brokers take no records", reason=trouble)
            self._trouble = trouble

    def closed(self, reason: Closed) -> None:
        """Count a connection that was closed."""
        self._metrics.count("tally_web_connections_closed_total", reason=reason)

    def ready(self) -> Verdict:
        """Return whether requests can be accepted now."""
        return Verdict((f"brokers: {self._trouble}",) if self._trouble else ())

    def report(self) -> GatewayReport:
        """Return what became of all requests since this process began, of all apps together."""
        answers = {str(outcome): self._answers[outcome] for outcome in OUTCOMES}
        items = {str(outcome): self._items[outcome] for outcome in POSTED}
        accepted_at_ms = max(self._accepted_at_ms.values(), default=0) or None
        return GatewayReport(self._since_ms, not self._trouble, answers, items, accepted_at_ms)

    def _accepted_seconds(self, app: str) -> float:
        return self._accepted_at_ms[app] / 1_000

    def _warn(self, app: str, outcome: Outcome) -> None:
        """Log a refusal, at most once a minute for each app: anybody can send such requests."""
        now_s = self._clocks.seconds()
        if now_s - self._said_s.get(app, -SAID_AGAIN_SECONDS) >= SAID_AGAIN_SECONDS:
            self._said_s[app] = now_s
            log.warning(
                "a request that does not come from Meta, or a secret that differs", app=app, kind=outcome
            )
