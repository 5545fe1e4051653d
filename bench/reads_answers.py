"""The answers that the read benchmark requests: their addresses and right numbers."""

from collections.abc import Mapping

from bench.reads_counts import Counts
from bench.reads_events import TENANT
from tally.oracle.api import Answers
from tests.support.workers import WorkerProcess


async def check_answers(view: WorkerProcess, expected: Mapping[str, Counts]) -> None:
    """Compare the totals of campaigns with plain counts. Raises AssertionError."""
    async with Answers(view.url) as answers:
        for campaign, counts in expected.items():
            totals = (await answers.get(path_of(campaign)))["totals"]
            shown = {name: totals[name] for name in counts}
            assert shown == counts, f"{campaign}: the API says {shown}, a plain count {counts}"


def path_of(campaign: str) -> str:
    """Return the address of a campaign in the read API."""
    return f"/v1/tenants/{TENANT}/campaigns/{campaign}"
