"""A process that audits repeatedly and publishes its findings: as metrics, and as a report for the pages."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog
from msgspec import structs

from tally.agents.audit.drift import Source
from tally.schemas.reports import AuditReport, Letters, Reporter
from tally.streams.audit.examine import AWAY, Audit, examine
from tally.streams.audit.letters import LettersByReason
from tally.streams.audit.metrics import AuditMetrics
from tally.streams.reports.reporting import Reporting, name_of
from tally.streams.runtime.exit import describe
from tally.streams.runtime.http import answers, http_app, serve
from tally.streams.runtime.run import Parts
from tally.streams.settings import Settings
from tally.streams.web.serving import WebServer

log = structlog.get_logger()

LOGGED = 50
FIRST_SECONDS = 20.0


class Auditing:
    """Audits at intervals. An audit that cannot be made is counted and tried again at the next turn."""

    def __init__(
        self,
        audit: Callable[[], Awaitable[Audit]],
        metrics: AuditMetrics,
        every_seconds: float,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._audit = audit
        self._metrics = metrics
        self._every_seconds = every_seconds
        self._unix_s = unix_s
        self._last: AuditReport | None = None
        self._failures = 0
        self._has_turned = asyncio.Event()

    async def run(self) -> None:
        """Audit until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(self._every_seconds)

    async def first(self, deadline_seconds: float) -> None:
        """Wait until an audit has ended or could not be made, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                await self._has_turned.wait()

    async def turn(self) -> None:
        """Audit once, and publish the findings or count the failure."""
        try:
            await self._turn()
        finally:
            self._has_turned.set()

    async def _turn(self) -> None:
        began_s = self._unix_s()
        try:
            found = await self._audit()
        except AWAY as error:
            log.warning("the audit could not be made", error=describe(error))
            self._metrics.failed()
            self._failures += 1
            return
        ended_s = self._unix_s()
        self._metrics.publish(found, ended_s)
        self._last = report_of(found, self._every_seconds, began_s, ended_s)
        _tell(found)

    def report(self, letters: Mapping[str, Letters]) -> AuditReport:
        """Return what was found last, and what was not."""
        last = self._last or AuditReport(self._every_seconds)
        return structs.replace(last, failures=self._failures, dead_letters=letters)


def report_of(found: Audit, every_seconds: float, began_s: float, ended_s: float) -> AuditReport:
    """Return what a report says of an audit; times are unix seconds. Pure."""
    differing = Counter(one.source for one in found.drift)
    return AuditReport(
        every_seconds,
        round(ended_s * 1000),
        max(0, round((ended_s - began_s) * 1000)),
        found.rows,
        found.behind + found.view_behind,
        {source: differing[source] for source in found.compared},
        found.raw,
    )


async def audit_parts(settings: Settings, with_raw: bool, view: str, every_seconds: float) -> Parts:
    """Return the parts to run: the audit, its reports, and the HTTP server of its metrics."""
    metrics = AuditMetrics(_sources(with_raw, view, settings.ledger))
    auditing = Auditing(lambda: examine(settings, with_raw, view), metrics, every_seconds)
    letters = LettersByReason()

    async def report() -> AuditReport:
        await auditing.first(FIRST_SECONDS)  # else the first report would say for a minute that there is none
        await letters.read(settings)
        return auditing.report(letters.by_reason)

    reporter = Reporter("audit", name_of(settings.audit_metrics_port))
    app = http_app(metrics, {"live": answers}, settings.web_hosts)
    return Parts(
        apps=(),
        services={
            "http": lambda: serve(WebServer(app), settings.metrics_host, settings.audit_metrics_port),
            "audit": auditing.run,
            "reports": Reporting(settings, reporter, report).run,
        },
    )


def _sources(with_raw: bool, view: str, has_lines: bool) -> list[Source]:
    asked: dict[Source, bool] = {
        "states": True,
        "cells": True,
        "lines": has_lines,
        "postgres": True,
        "view": bool(view),
        "raw": with_raw,
    }
    return [source for source, is_asked in asked.items() if is_asked]


def _tell(found: Audit) -> None:
    """Log which counters differ, without the names of operators."""
    level = log.error if found.drift else log.info
    level("audited", rows=found.rows, differing=len(found.drift), raw=found.raw)
    for one in found.drift[:LOGGED]:
        log.error(
            "a counter differs",
            source=one.source,
            partition=one.partition,
            tenant=one.row.tenant,
            campaign=one.row.campaign,
            counter=one.counter.partition(".")[0],
            held=one.held,
            counted=one.counted,
        )
