"""Route's loop: read a run, append its facts, write its dead letters, and only then acknowledge it."""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from tally.agents.compute_gate import Computation, ComputeGate
from tally.agents.route.decision import RoutedRecords, route_records
from tally.agents.route.pieces import is_long, pieces, portions
from tally.agents.route.seen_links import SeenLinks
from tally.agents.route.starts import notice_of, reading_of
from tally.schemas.bounds import RECORD
from tally.schemas.conventions import CONVENTIONS, Conventions
from tally.schemas.errors import Reason
from tally.schemas.notices import Reading
from tally.schemas.records import Routed
from tally.tables.kafka.dead_letters import DeadLetter, DeadLetters, detail_of
from tally.tables.kafka.delivered import RawRecord, RawRun
from tally.tables.kafka.facts_log import FactsLog, Grouped, by_partition


class RouteObserver(Protocol):
    """Observer of route."""

    def routed(self, source: str, found: RoutedRecords) -> None:
        """Records of a source were read, and their facts and dead letters are acknowledged."""

    def dead_letters(self, source: str, reason: Reason, count: int) -> None:
        """`count` raw records became dead letters."""

    def noticed(self, reading: Reading) -> None:
        """Reading began at a first start or behind a gap, and the facts log holds the notice of it."""


class BadRecord(NamedTuple):
    """A record that became a dead letter, with the run that held it."""

    run: RawRun
    record: RawRecord
    routed: Routed


class RoutedSource(NamedTuple):
    """What a pass made of the runs of one source."""

    source: str
    runs: Sequence[RawRun]
    found: RoutedRecords
    bad: Sequence[BadRecord]


MAX_PASS_RECORDS = 5_000
MAX_PASS_BYTES = RECORD.most
"""Bound of the values of a pass; a larger run makes up a pass alone."""
DEAD_LETTERS_AT_ONCE = 500
PASSES = 2
"""Passes in progress: while one waits for its acknowledgements, the next one reads."""


class Route:
    """Turns raw runs into facts, pass after pass; a pass takes the runs that have arrived meanwhile.

    Passes grow with load, so the number of requests per record falls. The order of runs does not matter:
    merging is a join. The transport bounds the number of waiting runs. A pass yields to I/O some fifty times
    a second; a long record is read in a thread, where the interpreter switches every few milliseconds.

    Facts go to `facts`, undecodable records to `dead_letters`, and results to `observer`. `failed` is called
    with an error that must end the process. `gate` lets one computation of the process run at a time.
    `conventions` say how AMI events and business numbers are read. `generation` goes into notices of losses.
    """

    def __init__(
        self,
        facts: FactsLog,
        dead_letters: DeadLetters,
        observer: RouteObserver,
        failed: Callable[[BaseException], None],
        gate: ComputeGate,
        conventions: Conventions = CONVENTIONS,
        generation: int = 1,
    ) -> None:
        self._generation = generation
        self._facts = facts
        self._dead_letters = dead_letters
        self._observer = observer
        self._failed = failed
        self._gate = gate
        self._conventions = conventions
        self._links = SeenLinks()
        self._waiting: deque[tuple[str, RawRun]] = deque()
        self._passes: set[asyncio.Task[None]] = set()

    def read_by(self, conventions: Conventions) -> None:
        """Read the runs that follow by other conventions."""
        self._conventions = conventions

    def deliver(self, source: str, run: RawRun) -> None:
        """Accept a run; it is acknowledged once the brokers have acknowledged its facts and dead letters."""
        self._waiting.append((source, run))
        self._begin()

    def _begin(self) -> None:
        if self._waiting and len(self._passes) < PASSES:
            task = asyncio.ensure_future(self._pass())
            self._passes.add(task)
            task.add_done_callback(self._ended)

    async def _pass(self) -> None:
        entries: Grouped = defaultdict(list)
        links: set[bytes] = set()
        computation = Computation(self._gate, time.monotonic)
        await computation.begin()
        try:
            # The partition of a run may have been revoked meanwhile: its next owner reads the run.
            runs = [(source, run) for source, run in self._dequeue() if run.is_current]
            routed = [
                await self._read(source, of_source, entries, links, computation)
                for source, of_source in _by_source(runs).items()
            ]
            notices = self._notices(runs)
            by_partition(map(notice_of, notices), self._facts.partitions, entries)
        finally:
            computation.end()
        await asyncio.gather(self._refuse(routed), self._facts.append_entries(entries))
        self._links.remember(links)
        for source, of_source, found, _ in routed:
            for run in of_source:
                run.ack()
            self._observer.routed(source, found)
        for notice in notices:
            self._observer.noticed(notice)

    async def _read(
        self,
        source: str,
        runs: Sequence[RawRun],
        entries: Grouped,
        links: set[bytes],
        computation: Computation,
    ) -> RoutedSource:
        """Read the runs of a source, add their facts to the entries, and free all records but the bad ones.

        They are read as one: a run of one partition may have three or four records, and what is paid for each
        reading is paid once.
        """
        found = RoutedRecords()
        # Records do not know their partition. Every piece takes as many as it has records.
        partitions = iter([run.partition for run in runs for _ in run.records])
        for piece in pieces([record for run in runs for record in run.records]):
            if is_long(piece[0]):
                computation.end()
                await asyncio.to_thread(
                    route_records, source, piece, self._conventions, found, islice(partitions, len(piece))
                )
                await computation.begin()
            else:
                route_records(source, piece, self._conventions, found, islice(partitions, len(piece)))
                await computation.pause()
            for portion in portions(found.facts):
                fresh, _ = self._links.filter_new(portion, links)
                by_partition(fresh, self._facts.partitions, entries)
                await computation.pause()
            found.facts.clear()
        bad = _placed(found, runs) if found.bad else ()
        for run in runs:
            run.release()
        return RoutedSource(source, runs, found, bad)

    def _notices(self, runs: Iterable[tuple[str, RawRun]]) -> list[Reading]:
        """Return the notices of starts; the facts log must hold them before the group commits past them."""
        starts = [(source, run, run.start) for source, run in runs if run.start is not None]
        readings = (
            reading_of(source, run.partition, start, self._generation) for source, run, start in starts
        )
        return [reading for reading in readings if reading is not None]

    async def _refuse(self, routed: Iterable[RoutedSource]) -> None:
        """Write the dead letters of a pass, a few hundred at a time."""
        letters = [(one.source, _letter(run, record, bad)) for one in routed for run, record, bad in one.bad]
        for first in range(0, len(letters), DEAD_LETTERS_AT_ONCE):
            some = letters[first : first + DEAD_LETTERS_AT_ONCE]
            await self._dead_letters.write([letter for _, letter in some])
            kept = Counter((source, letter.reason) for source, letter in some)
            for (source, reason), count in kept.items():
                self._observer.dead_letters(source, reason, count)

    def _dequeue(self) -> list[tuple[str, RawRun]]:
        taken: list[tuple[str, RawRun]] = []
        records = size_bytes = 0
        while self._waiting:
            run = self._waiting[0][1]
            records += len(run.records)
            size_bytes += run.size_bytes
            if taken and (records > MAX_PASS_RECORDS or size_bytes > MAX_PASS_BYTES):
                break
            taken.append(self._waiting.popleft())
        return taken

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._passes.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)
        self._begin()


def _letter(run: RawRun, record: RawRecord, bad: Routed) -> DeadLetter:
    return DeadLetter(run.topic, run.partition, record, bad.bad[0].reason, detail_of(bad), record.headers)


def _by_source(runs: Iterable[tuple[str, RawRun]]) -> dict[str, list[RawRun]]:
    grouped: dict[str, list[RawRun]] = defaultdict(list)
    for source, run in runs:
        grouped[source].append(run)
    return grouped


def _placed(found: RoutedRecords, runs: Iterable[RawRun]) -> list[BadRecord]:
    """Return each bad record with its run. Raises KeyError for a record that is in none."""
    run_of = {id(record): run for run in runs for record in run.records}
    return [BadRecord(run_of[id(record)], record, routed) for record, routed in found.bad]
