"""A process that audits repeatedly and publishes its findings as metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from tally.agents.audit.drift import Source
from tally.streams.audit.examine import AWAY, Audit, examine
from tally.streams.audit.metrics import AuditMetrics
from tally.streams.runtime.exit import describe
from tally.streams.runtime.http import answers, http_app, serve
from tally.streams.runtime.run import Parts
from tally.streams.settings import Settings
from tally.streams.web.serving import WebServer

log = structlog.get_logger()

LOGGED = 50


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

    async def run(self) -> None:
        """Audit until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(self._every_seconds)

    async def turn(self) -> None:
        """Audit once, and publish the findings or count the failure."""
        try:
            found = await self._audit()
        except AWAY as error:
            log.warning("the audit could not be made", error=describe(error))
            self._metrics.failed()
            return
        self._metrics.publish(found, self._unix_s())
        _tell(found)


async def audit_parts(settings: Settings, with_raw: bool, view: str, every_seconds: float) -> Parts:
    """Return the parts to run: the audit, and the HTTP server of its metrics."""
    metrics = AuditMetrics(_sources(with_raw, view))
    auditing = Auditing(lambda: examine(settings, with_raw, view), metrics, every_seconds)
    app = http_app(metrics, {"live": answers}, settings.web_hosts)
    return Parts(
        apps=(),
        services={
            "http": lambda: serve(WebServer(app), settings.metrics_host, settings.audit_metrics_port),
            "audit": auditing.run,
        },
    )


def _sources(with_raw: bool, view: str) -> list[Source]:
    asked: dict[Source, bool] = {
        "states": True,
        "cells": True,
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
