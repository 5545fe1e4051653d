"""The certificate: one page with the actions and with the lost, doubled or wrong numbers."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version

from msgspec import Struct, structs

from tally.streams.audit.stored import Ledger
from tests.faults.mistakes import Mistake
from tests.faults.run import PROGRESS_SECONDS, Outcome

GIB = 1 << 30

HEAD = """# Certificate: exact under faults

{at:%Y-%m-%d}, `make certificate`: {verdict}

WhatsApp and voice campaigns run,
with duplicates, conflicting duplicates, disorder, wrong clocks and bad events.
Meanwhile faults are injected into two workers, their connections to the broker, the broker, Postgres
and the connections to it.
Each fault happens in the middle of events and is shown to have happened; otherwise the run is void.
A dashboard polls all campaigns of both workers all the time.
Then three things are compared:

* every record that a producer was told is safe has to be in the raw topics, byte for byte;
* every counter of every campaign, template and operator, in the view and in Postgres,
  has to be what plain SQL counts of the raw events;
* every row has to be the sum of its states, and every row in Postgres the sum of its lines there.

| | {seeds} |
| --- |{rules}
"""


def certificate(
    outcomes: Sequence[Outcome], outages: Sequence[Struct], mistakes: Sequence[Mistake], at: datetime
) -> str:
    """Return the page."""
    is_exact = all(one.is_exact for one in outcomes) and all(one.is_passed for one in mistakes)
    head = HEAD.format(
        at=at,
        verdict="**everything was exact**." if is_exact else "**NOT exact**.",
        seeds=" | ".join(f"seed {one.seed}" for one in outcomes),
        rules=" --- |" * len(outcomes),
    )
    rows = [_row(name, [str(figure(one)) for one in outcomes]) for name, figure in FIGURES.items()]
    parts = [head + "\n".join(rows), _faults(outcomes), _outages(outages), _mistakes(mistakes), machine()]
    return "\n\n".join(part for part in parts if part is not None) + "\n"


def _progress(one: Outcome) -> str:
    return f"{one.longest_seconds:.1f} s of {len(one.progress_seconds)}"


def _answers(one: Outcome) -> str:
    came = one.verdict.arrived
    return f"{came.ok} / {came.unknown} / {came.failed}"


def _ledger(held: Ledger) -> str:
    unknown = "" if held.whole == held.partitions else f" ({held.whole} of {held.partitions} partitions)"
    return f"{held.lines}; {held.differing}{unknown}"


FIGURES: dict[str, Callable[[Outcome], object]] = {
    "raw events sent": lambda one: one.events,
    "acknowledged / unknown / refused": _answers,
    "faults, of them SIGKILL": lambda one: f"{sum(one.faults.values())}, {one.faults.get('kill', 0)}",
    "process ends (code: times)": lambda one: _counted(one.exits),
    "campaigns; rows compared": lambda one: f"{one.verdict.campaigns}; {one.verdict.counters}",
    "acknowledged records missing": lambda one: one.verdict.arrived.missing,
    "records invented": lambda one: one.verdict.arrived.invented,
    "counted too little": lambda one: one.verdict.lost,
    "counted twice": lambda one: one.verdict.doubled,
    "wrong counters": lambda one: len(one.verdict.differences),
    "wrong rows (`tally audit`)": lambda one: len(one.verdict.audit.drift),
    "lines; counters of rows that are not their sum": lambda one: _ledger(one.verdict.ledger),
    "decreases without a correction / answers polled": lambda one: f"{len(one.fallen)} / {one.looks}",
    f"longest time to live numbers after a kill (allowed: {PROGRESS_SECONDS:g} s)": _progress,
    "last event until everything was counted": lambda one: f"{one.verdict.counted_seconds:.1f} s",
    "took": lambda one: f"{one.seconds:.0f} s",
}


def _row(name: str, figures: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(figures)} |"


def _faults(outcomes: Sequence[Outcome]) -> str:
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.faults)
    return f"Faults of all runs: {_counted(total)}."


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))


def _outages(outages: Sequence[Struct]) -> str | None:
    if not outages:
        return None
    head = "Outages at full length under load (tests/faults/outages.py defines each figure):\n\n"
    return head + "\n".join(f"* {type(outage).__name__.lower()}: {_told(outage)}" for outage in outages)


def _mistakes(mistakes: Sequence[Mistake]) -> str | None:
    if not mistakes:
        return None
    head = (
        "Mistakes of operation, each in its own deployment (tests/faults/mistakes.py).\n"
        "Each ends in a named error or in a receipt that says what is missing; no number is wrong:\n\n"
        "| mistake | tests passed | failed | skipped | took |\n| --- | --- | --- | --- | --- |\n"
    )
    rows = [
        f"| {one.name} | {one.passed} | {one.failed} | {one.skipped} | {one.seconds:.0f} s |"
        for one in mistakes
    ]
    return head + "\n".join(rows)


def _told(outage: Struct) -> str:
    figures = structs.asdict(outage)
    return ", ".join(
        f"{name} {round(value, 1) if isinstance(value, float) else value}" for name, value in figures.items()
    )


def machine() -> str:
    """Return a description of the machine."""
    memory_gib = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB)
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("tally", "faust-streaming", "aiokafka", "rocksdict")
    )
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, {memory_gib} GiB; load and"
        f" servers ran on it too; Python {platform.python_version()}, {versions}; Apache Kafka 4.1,"
        " PostgreSQL 18."
    )
