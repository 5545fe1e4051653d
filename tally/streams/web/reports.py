"""The read API: what shows that numbers are right, which audits and gateways report and the view knows."""

from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web
from faust.web import View
from msgspec import Struct, to_builtins

from tally.agents.clock import unix_ms
from tally.agents.view.answer import Json, rfc_3339
from tally.schemas.reports import AuditReport, GatewayReport, Reporter
from tally.streams.reports.kept import Kept, Reports
from tally.streams.web.admission import OPENS_ALL
from tally.streams.web.answers import Count, ReceiptShown, Time
from tally.streams.web.endpoints import QUERIES, Endpoint
from tally.streams.web.parameters import read_id
from tally.streams.web.responses import json_response

REPORTS = web.AppKey("reports", Reports)


class PartitionShown(Struct, frozen=True):
    """How far a partition is counted."""

    partition: Count
    counted: Count
    """Facts that are in the numbers."""
    behind: Count | None
    """Facts that wait to be counted; null where the brokers have not said yet."""
    waiting_messages: Count
    """Messages of which a status was seen, but no send result yet."""
    contested_messages: Count
    """Messages that several tenants claim."""


class AuditShown(Struct, frozen=True):
    """What an audit reported last."""

    name: str
    reported_at: Time
    """By the brokers' clock."""
    age_ms: Count
    every_seconds: float
    audited_at: Time | None
    """When the last audit ended; null before the first."""
    took_ms: Count
    rows: Count
    behind_rows: Count
    """Rows that were written while it looked: it says nothing of them."""
    drift: dict[str, Count]
    """Counters that differ, by what rows were compared with."""
    raw: str
    failures: Count
    """Audits that could not be made."""


class GatewayShown(Struct, frozen=True):
    """What a gateway reported last, of all apps and tenants together."""

    name: str
    reported_at: Time
    age_ms: Count
    since: Time
    is_up: bool
    """Whether the brokers take what is published."""
    accepted_at: Time | None
    answers: dict[str, Count]
    items: dict[str, Count]


class LettersShown(Struct, frozen=True):
    """Dead letters of one reason."""

    reason: str
    number: Count
    last_at: Time


class ReportsAnswer(Struct, frozen=True):
    """What audits and gateways have reported, and how far each partition is counted."""

    tenant: str
    asked_at: Time
    partitions: list[PartitionShown]
    behind: dict[str, Count]
    """Records of each raw topic that wait to be read, and facts to be counted."""
    audits: list[AuditShown]
    gateways: list[GatewayShown] | None
    """Null for a key that opens only some tenants."""
    dead_letters: list[LettersShown] | None
    """Null for a key that opens only some tenants."""
    receipt: ReceiptShown


class ReportsView(View):
    """What audits and gateways have reported, and how far each partition is counted."""

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """Answer with reports and their age, partitions, and a receipt."""
        tenant = read_id("tenant", tenant)
        queries, reports, now_ms = request.app[QUERIES], request.app[REPORTS], unix_ms()
        receipt = queries.freshness.receipt(tenant)
        return json_response(
            {
                "tenant": tenant,
                "asked_at": rfc_3339(now_ms),
                "partitions": to_builtins(queries.freshness.partitions()),
                "behind": queries.freshness.records_behind(),
                **reported(reports.present(now_ms), now_ms, of_all=request[OPENS_ALL]),
                "receipt": receipt.answer(),
            }
        )


def reported(kept: Sequence[tuple[Reporter, Kept]], now_ms: int, *, of_all: bool) -> Json:
    """Return reports as members of an answer. Pure.

    What gateways answer, and what could not be read, is of all tenants together: None for a key of some.
    """
    audits = [(who, one, one.report) for who, one in kept if isinstance(one.report, AuditReport)]
    gateways = [(who, one, one.report) for who, one in kept if isinstance(one.report, GatewayReport)]
    return {
        "audits": [_head(who, one, now_ms) | _audit(report) for who, one, report in audits],
        "gateways": [_head(who, one, now_ms) | _gateway(report) for who, one, report in gateways]
        if of_all
        else None,
        "dead_letters": _letters((one.at_ms, report) for _, one, report in audits) if of_all else None,
    }


def _head(who: Reporter, one: Kept, now_ms: int) -> Json:
    return {"name": who.name, "reported_at": rfc_3339(one.at_ms), "age_ms": max(0, now_ms - one.at_ms)}


def _audit(report: AuditReport) -> Json:
    return {
        "every_seconds": report.every_seconds,
        "audited_at": _moment(report.audited_at_ms),
        "took_ms": report.took_ms,
        "rows": report.rows,
        "behind_rows": report.behind_rows,
        "drift": dict(report.drift),
        "raw": report.raw,
        "failures": report.failures,
    }


def _gateway(report: GatewayReport) -> Json:
    return {
        "since": _moment(report.since_ms),
        "is_up": report.is_up,
        "accepted_at": _moment(report.accepted_at_ms),
        "answers": dict(report.answers),
        "items": dict(report.items),
    }


def _letters(audits: Iterable[tuple[int, AuditReport]]) -> list[Json]:
    """Return dead letters by reason, of the newest report: each of them is of the whole topic."""
    newest = max(audits, key=lambda one: one[0], default=None)
    found: list[Any] = [] if newest is None else sorted(newest[1].dead_letters.items())
    return [
        {"reason": reason, "number": letters.number, "last_at": _moment(letters.last_at_ms)}
        for reason, letters in found
    ]


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc_3339(at_ms)


ROUTES = (
    Endpoint(
        "reports",
        "/v1/tenants/{tenant}/reports",
        ReportsView,
        "what shows that numbers are right: audits, how far partitions are counted, dead letters, gateways",
        ReportsAnswer,
    ),
)
