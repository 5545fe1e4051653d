"""The demo: counts campaigns on real servers, kills the worker, and compares with a recount in SQL."""

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from urllib.parse import quote, urlencode

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from tally.oracle.api import Answers, quantile
from tally.oracle.comparison import summed
from tally.oracle.judgement import Judgement, operators, templates, totals
from tally.schemas.rates.reading import read_card
from tally.simulator.campaign import past_start_s
from tally.simulator.live import PER_SECOND, SENDS, Due, live
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tally.streams.audit.stored import Ledger, ledger_in_postgres
from tally.streams.demo import report, shows
from tally.streams.dev.gateway import App, Meta
from tally.streams.dev.judging import judged
from tally.streams.dev.publisher import Publisher
from tally.streams.dev.supervisor import Supervisor
from tally.streams.operations import rates
from tally.streams.runtime.exposure import PRIVATE_FILE
from tally.streams.settings import Settings

READY_SECONDS = 60.0
COUNTED_SECONDS = 60.0
KILL_AT = 0.3
"""Share of the burst that is published before the worker is killed."""
LATE_SECONDS = 60
"""Bound on shuffling events; without it the former way of counting would look worse than it was."""
SHOWN_TENANT = "tenant-0"
"""Whose numbers are shown over time, by market and in money; it has queues too."""


class RateColumn(ProgressColumn):
    """Progress column with the average rate per second so far."""

    def render(self, task: Task) -> Text:
        """Return the rate; empty before anything has happened."""
        elapsed_s = task.finished_time or task.elapsed
        return Text(f"{task.completed / elapsed_s:.0f}/s" if elapsed_s and task.completed else "")


class Demo:
    """One run of the demo, on running servers with declared topics."""

    def __init__(
        self,
        settings: Settings,
        key: str,
        app: App,
        supervisor: Supervisor,
        console: Console,
        seed: int,
        shows_tables: bool,
    ) -> None:
        self._settings = settings
        self._key = key
        self._app = app
        self._supervisor = supervisor
        self._console = console
        self._rng = Random(seed)  # noqa: S311 - a seed, no secret
        self._shows_tables = shows_tables
        self.url = f"http://{settings.web_host}:{settings.web_port}"
        self.page = self.url
        """The page of the campaign that is published at its pace, once that has begun."""
        self._metrics_url = f"http://{settings.metrics_host}:{settings.metrics_port}"

    async def ledger(self) -> Ledger:
        """Compare the rows in Postgres with the sums of their lines, and say it. Raises PostgresFailure."""
        held = await ledger_in_postgres(self._settings)
        report.ledger(self._console, held)
        return held

    async def run(self, contacts_per_campaign: int) -> Judgement:
        """Publish campaigns in a burst with a kill of the worker, then one at its pace; compare counts."""
        size = Size(contacts_per_campaign=contacts_per_campaign, late_at_most_s=LATE_SECONDS)
        start_s = past_start_s(int(time.time()), size)
        burst, due = mixed(self._rng, start_s, size), live(self._rng, start_s)
        self.page = f"{self.url}{page_of(due)}"
        async with (
            Answers(self.url, self._metrics_url, self._key) as answers,
            Meta(self._settings, self._app) as meta,
            Publisher(self._settings, meta.post) as publisher,
        ):
            ready_s = await answers.wait_until_ready(READY_SECONDS)
            self._say(f"worker ready after {ready_s:.1f} s; {len(burst) + len(due)} raw events")
            caught_up_s = await self._publish_and_kill(burst, publisher, answers)
            before = await answers.event_to_view()
            counted_s = await self._publish_live(due, publisher, answers)
            after = await answers.event_to_view()
            p50, p99 = (quantile(before, after, wanted) * 1000 for wanted in (0.5, 0.99))
            self._say(
                f"all counted {caught_up_s:.1f} s after the burst, {counted_s:.1f} s after the last event;"
                f" event to view: p50 {p50:.0f} ms, p99 {p99:.0f} ms"
            )
            return await self._judge(answers, len(burst) + len(due), meta.posted_again)

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False)

    def _progress(self) -> Progress:
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            *(RateColumn(), TimeElapsedColumn()),
        )
        return Progress(*columns, console=self._console)

    async def _publish_and_kill(
        self, records: Sequence[RawRecord], publisher: Publisher, answers: Answers
    ) -> float:
        """Publish at full speed and kill the worker meanwhile; return the seconds until all was counted."""
        kill_at = int(len(records) * KILL_AT)
        with self._progress() as progress:
            task = progress.add_task("campaigns in a burst, events", total=len(records))
            await publisher.publish(records[:kill_at], lambda n: progress.advance(task, n))
            self._supervisor.kill()
            self._say(f"killed the worker (SIGKILL) after {kill_at} events; publishing goes on")
            await publisher.publish(records[kill_at:], lambda n: progress.advance(task, n))
        return await answers.wait_until_counted(time.time() * 1000, COUNTED_SECONDS)

    async def _publish_live(self, due: Sequence[Due], publisher: Publisher, answers: Answers) -> float:
        """Publish a campaign at its pace; return the seconds until all was counted."""
        with self._progress() as progress:
            task = progress.add_task(f"a campaign at {PER_SECOND:g}/s, sends", total=SENDS)

            def published(now: Sequence[Due]) -> None:
                if sends := sum(one.is_send for one in now):
                    progress.advance(task, sends)

            await publisher.publish_when_due(due, published)
        return await answers.wait_until_counted(time.time() * 1000, COUNTED_SECONDS)

    async def _judge(self, answers: Answers, published: int, again: int) -> Judgement:
        """Recount, compare and print. Raises RuntimeError if the topics hold another number of events.

        `again` are posts of webhooks after the first of a body, each of which may have been published.
        """
        found = await judged(self._settings, answers, by_cell=True)
        if not published <= found.raw_events <= published + again:
            raise RuntimeError(f"{published} events were published, the topics hold {found.raw_events}")
        if self._shows_tables:
            report.funnel(self._console, templates(found.view))
            report.calls(self._console, templates(found.view))
            report.operators(self._console, operators(found.view))
        report.counts(
            self._console,
            summed(totals(found.view)),
            summed(totals(found.postgres)),
            summed(totals(found.recounted)),
            {name: sum(row[name] or 0 for row in found.old) for name in report.OLD_NAMES.values()},
            only=None if self._shows_tables else report.BRIEF,
        )
        report.differences(self._console, "The view differs from the recount", found.in_view)
        report.differences(self._console, "Postgres differs from the recount", found.in_postgres)
        report.differences(self._console, "Cells in Postgres differ from the recount", found.in_cells)
        await rates.load(self._settings.postgres_dsn.get_secret_value(), read_card(shows.CARD.read_bytes()))
        await shows.show(self._console, answers, SHOWN_TENANT)
        return found


def page_of(due: Sequence[Due]) -> str:
    """Return the path of the page of the campaign that these records are of. Pure."""
    sent = next(orjson.loads(one.record.value) for one in due if one.is_send and one.record.value)
    return f"/c/{quote(str(sent['campaign']), safe='')}?{urlencode({'tenant': sent['tenant']})}"


def log_file(folder: Path, name: str) -> Path:
    """Return the log file of a process, readable only by its owner."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    path.touch(mode=PRIVATE_FILE)
    path.chmod(PRIVATE_FILE)
    return path
