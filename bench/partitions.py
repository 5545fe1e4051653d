"""`python -m bench.partitions`: what so many partitions cost, for the choice of their default number.

Freshness and CPU of a worker with 2, 4 and 8 partitions, in one and in two processes, at three loads. Each
cell is the median of several rounds, with the range. It takes most of an hour: a round of a cell is printed
as soon as it is measured, and kept as soon as all numbers of its worker were found right; what the file of
results has is not measured again.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, json

from bench.freshness import delay
from bench.load import Size
from bench.partitions_table import Cell, told, written
from bench.plain_count import check_plainly
from bench.probes import SEEN_SECONDS, TO_VIEW, Prober
from bench.servers import Servers, own_database, servers
from bench.steady_load import SteadyLoad, WarmUp
from bench.worker import Worker, running
from tests.support.judge import counted, prepare

PARTITIONS, PROCESSES, LOADS, ROUNDS = (2, 4, 8), (1, 2), (3_300, 10_000, 13_500), 3
RESULTS = Path("partitions.jsonl")
MOST_SECONDS = 25.0
"""No probe of a cell begins later."""
COUNTED_SECONDS = 300.0


class Plan(Struct, frozen=True):
    """How a round of one arrangement is measured: all loads in turn, with one worker."""

    loads: tuple[int, ...]
    probes: int = 200
    warm_up: WarmUp = WarmUp(seconds=30.0)
    settle_seconds: float = 5.0
    seed: int = 11

    @property
    def size(self) -> Size:
        """The size of a load that lasts as long as all probes."""
        each_s = self.settle_seconds + MOST_SECONDS + SEEN_SECONDS + 5.0
        return Size.of_events(self.warm_up.events + sum(self.loads) * each_s)


class Arrangement(Struct, frozen=True):
    """What one worker is started with, and the loads that are still to be measured."""

    round: int
    partitions: int
    processes: int
    loads: tuple[int, ...]


def main() -> None:
    """Measure what is not in the results yet, and print the table of all that is."""
    asked = _asked()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    known = read(asked.results)
    for one in missing(known, asked.rounds, asked.partitions, asked.processes, asked.loads):
        with servers() as there:
            asyncio.run(_measure(there, one, Plan(one.loads, probes=asked.probes), asked.results))
    table = written(read(asked.results))
    sys.stdout.write(table)
    if asked.write:
        asked.write.write_text(table, encoding="utf-8")


def missing(
    known: Sequence[Cell],
    rounds: int,
    partitions: Sequence[int],
    processes: Sequence[int],
    loads: Sequence[int],
) -> Iterator[Arrangement]:
    """Yield what is not known yet, round by round, so that a drift of the machine affects all cells. Pure."""
    done = {(one.round, one.partitions, one.processes, one.per_second) for one in known}
    for nth in range(rounds):
        for count in partitions:
            for number in processes:
                left = tuple(load for load in loads if (nth, count, number, load) not in done)
                if left:
                    yield Arrangement(nth, count, number, left)


def read(results: Path) -> list[Cell]:
    """Return the cells of a file of results; none where there is no file yet."""
    if not results.exists():
        return []
    return [json.decode(line, type=Cell) for line in results.read_bytes().splitlines() if line]


async def _measure(there: Servers, one: Arrangement, plan: Plan, results: Path) -> None:
    """Measure all loads of an arrangement. Raises AssertionError where the worker counts wrong."""
    async with own_database(there.environment("partitions-", one.partitions)) as environment:
        await prepare(environment)
        worker = Worker(environment, there.folder, "partitions", one.processes)
        flow = SteadyLoad(environment, plan.size, plan.seed)
        async with running(worker), Prober(worker) as prober, flow:
            await plan.warm_up.run(flow)
            cells = [await _cell(worker, prober, flow, one, plan, load) for load in plan.loads]
            await flow.ended()
            await counted(worker, COUNTED_SECONDS)
            await check_plainly(worker, await flow.right())
    with results.open("ab") as file:
        file.writelines(json.encode(cell) + b"\n" for cell in cells)


async def _cell(
    worker: Worker, prober: Prober, flow: SteadyLoad, one: Arrangement, plan: Plan, per_second: int
) -> Cell:
    flow.at(per_second)
    await asyncio.sleep(plan.settle_seconds)
    used_s, before, mark = sum(worker.cpu_seconds().values()), await worker.taken(), flow.mark()
    probes = await prober.probed(TO_VIEW, plan.probes, MOST_SECONDS)
    view = delay([one.delay_s for one in probes])
    published_per_second = flow.per_second_since(mark)
    past_s = flow.mark().at_s - mark.at_s
    cores = (sum(worker.cpu_seconds().values()) - used_s) / past_s
    carried = min(published_per_second, (await worker.taken() - before) / past_s)
    cell = Cell(
        one.round,
        one.partitions,
        one.processes,
        per_second,
        carried,
        view.p50_ms,
        view.p99_ms,
        cores,
        view.probes,
    )
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {told(cell)}\n")
    return cell


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.partitions", description=__doc__)
    parser.add_argument("--partitions", type=_numbers, default=PARTITIONS, help="separated by commas")
    parser.add_argument("--processes", type=_numbers, default=PROCESSES, help="of a worker: 1, 2, 3")
    parser.add_argument("--loads", type=_numbers, default=LOADS, help="events/s")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--probes", type=int, default=200, help="of a round of a cell")
    parser.add_argument("--results", type=Path, default=RESULTS, help="what is measured; to go on with later")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there too")
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
