"""What an audit and a gateway report, for the page of proof to show."""

from msgspec import structs

from tally.agents.clock import unix_ms
from tally.schemas.reports import AuditReport, GatewayReport, Letters, Reporter
from tests.support.web_api import Api

RIGHT = {"states": 0, "cells": 0, "postgres": 0}


def report(
    api: Api, *, audit: str = "<i>host</i>:6068", age_ms: int = 20_000, **found: object
) -> AuditReport:
    """Let an audit and a gateway have reported; `found` is what the audit says in place of the usual."""
    now_ms = unix_ms()
    letters = {"not_json": Letters(12, now_ms - 4_000_000), "bad_id": Letters(1_234, now_ms)}
    usual = AuditReport(300.0, now_ms - 90_000, 812, 12_345, 3, RIGHT, "not asked for", 0, letters)
    said = structs.replace(usual, **found)
    api.reports.put(Reporter("audit", audit), now_ms - age_ms, said)
    answers = {"accepted": 1_204_331, "handshake": 2, "forged": 3, "full": 0}
    gateway = GatewayReport(
        now_ms - 9_000_000, True, answers, {"accepted": 90, "refused": 12}, now_ms - 1_500
    )
    api.reports.put(Reporter("gateway", "gw-1:6070"), now_ms - age_ms, gateway)
    return said
