"""The newest report of each process, as the topic says, with its age by the brokers' clock."""

from typing import Any, NamedTuple

import structlog

from tally.schemas.reports import BadReport, Report, Reporter, decode
from tally.schemas.topics import REPORTS
from tally.streams.operations.following import Follower
from tally.streams.settings import Settings

FORGOTTEN_MS = 86_400_000
"""A process that was not heard of for so long is there no more: hosts and their names come and go."""

log = structlog.get_logger()


class Kept(NamedTuple):
    """A report, and when the brokers got it."""

    at_ms: int
    report: Report


class Reports:
    """All reports by who made them."""

    def __init__(self) -> None:
        self._kept: dict[Reporter, Kept] = {}
        self.is_known = False
        """Whether all that the topic held was read."""

    def apply(self, record: Any) -> None:
        """Apply one record of the topic; log and skip a malformed one."""
        try:
            reporter, report = decode(record.key, record.value)
        except BadReport as error:
            log.warning("no report", offset=record.offset, error=str(error))
            return
        self.put(reporter, record.timestamp, report)

    def put(self, reporter: Reporter, at_ms: int, report: Report | None) -> None:
        """Keep a report in place of the former one, or remove it."""
        if report is None:
            self._kept.pop(reporter, None)
        else:
            self._kept[reporter] = Kept(at_ms, report)

    def known(self) -> None:
        """Note that all that the topic held was read."""
        self.is_known = True

    def present(self, now_ms: int) -> list[tuple[Reporter, Kept]]:
        """Return the reports of processes that were heard of in the last day, by name."""
        return sorted(one for one in self._kept.items() if now_ms - one[1].at_ms < FORGOTTEN_MS)


def reports_follower(settings: Settings, reports: Reports) -> Follower:
    """Return what keeps reports as the topic says; while Kafka is away the last ones age."""
    return Follower(settings.kafka, settings.names.raw(REPORTS), reports.apply, reports.known)
