"""The demo: the main job on real servers, with a kill in the middle, judged by a recount in plain SQL."""

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tally.oracle.api import Answers, quantile
from tally.oracle.comparison import summed
from tally.oracle.judgement import Judgement, operators, templates, totals
from tally.simulator.campaign import past_start_s
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tally.streams.demo import report
from tally.streams.dev.judging import judged
from tally.streams.dev.publisher import Publisher
from tally.streams.dev.supervisor import Supervisor
from tally.streams.runtime.exposure import PRIVATE_FILE
from tally.streams.settings import Settings

READY_SECONDS = 60.0
COUNTED_SECONDS = 60.0
KILL_AT = 0.3
"""The share of the records that is published when the worker is killed."""
BURST = 0.6
"""The share that is published as fast as it goes; the rest at a steady rate, for the latencies."""
STEADY_RECORDS_PER_SECOND = 500.0
LATE_SECONDS = 60
"""How far events are shuffled; without a bound the former way of counting would look worse than it was."""


class Demo:
    """One run, on servers that are up and topics that are declared."""

    def __init__(self, settings: Settings, supervisor: Supervisor, console: Console, seed: int) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._console = console
        self._seed = seed
        self.url = f"http://{settings.web_host}:{settings.web_port}"

    async def run(self, contacts_per_campaign: int) -> Judgement:
        """Publish a campaign, kill the worker in the middle, and compare all counts."""
        size = Size(contacts_per_campaign=contacts_per_campaign, late_at_most_s=LATE_SECONDS)
        records = mixed(Random(self._seed), past_start_s(int(time.time()), size), size)  # noqa: S311 - a seed, no secret
        async with Answers(self.url) as answers, Publisher(self._settings) as publisher:
            ready_s = await answers.wait_until_ready(READY_SECONDS)
            self._console.print(
                f"worker ready after {ready_s:.1f} s; {len(records)} raw events, seed {self._seed}"
            )
            with self._progress() as progress:
                await self._publish_and_kill(records, publisher, answers, progress)
                before = await answers.event_to_view()
                await self._publish_steadily(records, publisher, progress)
                counted_s = await answers.wait_until_counted(time.time() * 1000, COUNTED_SECONDS)
            after = await answers.event_to_view()
            self._console.print(
                f"everything counted {counted_s:.2f} s after the last event;"
                f" worker started {self._supervisor.starts} times"
            )
            found = await self._judge(answers, len(records))
            self._print_latency(before, after)
            return found

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self._console)

    async def _publish_and_kill(
        self, records: Sequence[RawRecord], publisher: Publisher, answers: Answers, progress: Progress
    ) -> None:
        """Publish the burst; kill the worker while part of it is under way, and go on publishing."""
        kill_at, burst = int(len(records) * KILL_AT), int(len(records) * BURST)
        task = progress.add_task("publishing in a burst", total=burst)
        await publisher.publish(records[:kill_at], lambda n: progress.advance(task, n))
        self._supervisor.kill()
        progress.console.print(f"killed the worker (SIGKILL) after {kill_at} events; publishing goes on")
        await publisher.publish(records[kill_at:burst], lambda n: progress.advance(task, n))
        published_at_ms = time.time() * 1000
        counted_s = await answers.wait_until_counted(published_at_ms, COUNTED_SECONDS)
        progress.console.print(f"the new worker has caught up, {counted_s:.1f} s after the burst")

    async def _publish_steadily(
        self, records: Sequence[RawRecord], publisher: Publisher, progress: Progress
    ) -> None:
        rest = records[int(len(records) * BURST) :]
        task = progress.add_task(f"publishing {STEADY_RECORDS_PER_SECOND:g}/s", total=len(rest))
        await publisher.publish(rest, lambda n: progress.advance(task, n), STEADY_RECORDS_PER_SECOND)

    async def _judge(self, answers: Answers, published: int) -> Judgement:
        """Recount, compare and print. Raises RuntimeError where the topics do not hold what was published."""
        found = await judged(self._settings, answers)
        if found.raw_events != published:
            raise RuntimeError(f"{published} events were published, the topics hold {found.raw_events}")
        report.funnel(self._console, templates(found.view))
        report.calls(self._console, templates(found.view))
        report.operators(self._console, operators(found.view))
        report.counts(
            self._console,
            summed(totals(found.view)),
            summed(totals(found.postgres)),
            summed(totals(found.recounted)),
            {name: sum(row[name] or 0 for row in found.old) for name in report.OLD_NAMES.values()},
        )
        self._console.print(
            f"compared: these and errors, pricing, hangup_causes, queues, time_to_deliver, time_to_read, for"
            f" {len(totals(found.recounted))} campaigns, their templates and operators"
        )
        report.differences(self._console, "The view differs from the recount", found.in_view)
        report.differences(self._console, "Postgres differs from the recount", found.in_postgres)
        return found

    def _print_latency(self, before: dict[float, float], after: dict[float, float]) -> None:
        p50, p99 = (quantile(before, after, wanted) * 1000 for wanted in (0.5, 0.99))
        self._console.print(
            f"event to view at {STEADY_RECORDS_PER_SECOND:g} events/s: p50 {p50:.0f} ms, p99 {p99:.0f} ms"
            " (oldest event of each batch)"
        )


def log_file(folder: Path) -> Path:
    """Return where the worker's log goes: a file for its owner alone."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "worker.log"
    path.touch(mode=PRIVATE_FILE)
    path.chmod(PRIVATE_FILE)
    return path
