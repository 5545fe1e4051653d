"""Reports on a real Kafka: what a process says reaches a view, and dead letters are counted once each."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from structlog.testing import capture_logs

from tally.agents.clock import unix_ms
from tally.schemas.errors import Reason
from tally.schemas.reports import AuditReport, GatewayReport, Report, Reporter
from tally.schemas.topics import DEAD_LETTERS, REPORTS
from tally.streams.audit.letters import LettersByReason
from tally.streams.operations import topics
from tally.streams.operations.rights import RightsMissing
from tally.streams.reports import reporting
from tally.streams.reports.kept import Reports, reports_follower
from tally.streams.reports.reporting import Reporting, publish
from tally.streams.settings import Settings
from tally.tables.kafka.dead_letters import DeadLetter, DeadLetters
from tests.support.transport import producing
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio

WHO = Reporter("gateway", "host/1:6070")


class Raw:
    key = None
    value = b"x"

    def __init__(self, offset: int) -> None:
        self.offset = offset


async def test_what_a_process_reports_again_and_again_reaches_a_view(settings: Settings) -> None:
    await topics.declare(settings)
    reports, made = Reports(), 0

    async def report() -> Report:
        nonlocal made
        made += 1
        return GatewayReport(made, True, {"accepted": made}, {})

    def shown() -> list[Report]:
        return [kept.report for _, kept in reports.present(unix_ms())]

    running = [
        asyncio.create_task(reports_follower(settings, reports).run()),
        asyncio.create_task(Reporting(settings, WHO, report, every_seconds=0.1).run()),
    ]
    try:
        await until(lambda: made >= 3 and shown() == [GatewayReport(made, True, {"accepted": made}, {})])
        assert reports.is_known
        (who, kept), *_ = reports.present(unix_ms())
        assert who == WHO
        assert abs(unix_ms() - kept.at_ms) < 10_000
    finally:
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_reporter_without_a_right_says_which_and_whose(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def explained(_: Settings, who: str | None, error: Exception) -> Exception:
        return RightsMissing(f"{who} lacks Write on topic reports: {type(error).__name__}")

    async def report() -> Report:
        raise TopicAuthorizationFailedError

    monkeypatch.setattr(reporting, "explained", explained)
    with capture_logs() as logged:
        task = asyncio.create_task(Reporting(settings, Reporter("audit", "x"), report).run())
        await until(lambda: bool(logged))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    words = "audit --every lacks Write on topic reports: TopicAuthorizationFailedError"
    assert [(line["event"], line["error"]) for line in logged] == [("no report", words)]


async def test_a_record_that_is_no_report_hides_none(settings: Settings) -> None:
    await topics.declare(settings)
    await publish(settings, WHO, AuditReport(60.0))
    async with producing(settings.kafka_bootstrap) as producer:
        for key, value in ((None, b"{}"), (b"x", b"{}"), (WHO.encode(), b"hello")):
            await producer.send_and_wait(settings.names.raw(REPORTS), value, key or b"\xff", partition=0)
    reports = Reports()
    await reports_follower(settings, reports).start()
    assert [(who, kept.report) for who, kept in reports.present(unix_ms())] == [(WHO, AuditReport(60.0))]


async def test_dead_letters_are_counted_by_reason_once_each_and_only_new_ones_are_read_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await topics.declare(settings)
    topic = settings.names.raw(DEAD_LETTERS)
    keeping = DeadLetters(settings.kafka, topic, unix_ms)
    await keeping.start()

    async def bad(reason: Reason, *offsets: int) -> None:
        letters = [DeadLetter("send-results", 0, Raw(offset), reason, f"{reason} at $") for offset in offsets]
        await keeping.write(letters)

    try:
        found = LettersByReason()
        await found.read(settings)
        assert found.by_reason == {}
        await bad("not_json", 1, 2, 3)
        await bad("too_large", 4)
        await bad("not_json", 2)  # a killed worker's successor may write a letter again
        async with producing(settings.kafka_bootstrap) as producer:
            await producer.send_and_wait(topic, b"hello", partition=0)
        for _ in range(2):
            await found.read(settings)
            assert {reason: one.number for reason, one in found.by_reason.items()} == {
                "not_json": 3,
                "too_large": 1,
            }
        await bad("not_json", 5)
        with monkeypatch.context() as patched:
            read: list[int] = []
            note = found.note

            def noted(record: Any) -> None:
                read.append(record.offset)
                note(record)

            patched.setattr(found, "note", noted)
            await found.read(settings)
        assert len(read) == 1
        assert found.by_reason["not_json"].number == 4
        assert abs(unix_ms() - found.by_reason["not_json"].last_at_ms) < 30_000
    finally:
        await keeping.close()
