"""`python -m tests.faults.certificate`: long runs under many faults, and a page of what came of them."""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import SystemRandom

from tests.faults.run import Outcome, run

FIXED_SEEDS = (11, 12, 13)
PAGE = Path(__file__).parents[2] / "docs" / "certificate.md"
GIB = 1 << 30


def main() -> int:
    """Run, print the certificate, write it where asked, and return 1 unless everything was exact."""
    asked = _asked()
    seeds = asked.seed or (*FIXED_SEEDS, SystemRandom().randrange(1_000_000))
    outcomes = []
    for seed in seeds:
        sys.stderr.write(f"seed {seed}: {asked.events} events, {asked.faults} faults\n")
        with tempfile.TemporaryDirectory(prefix="tally-faults-") as folder:
            outcomes.append(asyncio.run(run(Path(folder), seed, asked.events, asked.faults, asked.kills)))
    page = certificate(outcomes, datetime.now(UTC))
    sys.stdout.write(page)
    if asked.write:
        PAGE.write_text(page)
    return 0 if all(outcome.is_exact for outcome in outcomes) else 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.certificate")
    parser.add_argument("--events", type=int, default=200_000, help="about so many raw events a run")
    parser.add_argument("--faults", type=int, default=62)
    parser.add_argument("--kills", type=int, default=50, help="how many of the faults are SIGKILL")
    parser.add_argument("--seed", type=int, action="append", help="instead of three fixed and a random one")
    parser.add_argument("--write", action="store_true", help="write docs/certificate.md")
    return parser.parse_args()


HEAD = """# Certificate: exact under faults

{at}, `make certificate`: WhatsApp and voice campaigns with duplicates, disorder and bad events are published
while faults strike two workers, the broker and Postgres, each in the middle of events. Then every counter of
every campaign, template and operator is compared with a recount of the raw events in plain SQL, and every
row with its states.

| seed | events | faults | restarts | campaigns | lost | doubled | wrong counters | wrong rows | caught up | took |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""  # noqa: E501 - a table's head is one line


def certificate(outcomes: Sequence[Outcome], at: datetime) -> str:
    """Return the page: what was done, and what was lost, doubled or wrong."""
    machine = (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, {_memory_gib()} GiB;"
        f" Python {platform.python_version()}, {_versions()}."
    )
    rows = [_line(outcome) for outcome in outcomes]
    return HEAD.format(at=f"{at:%Y-%m-%d}") + "\n".join([*rows, "", machine, ""])


def _line(outcome: Outcome) -> str:
    faults = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.faults.items()))
    return (
        f"| {outcome.seed} | {outcome.events} | {faults} | {outcome.restarts} | {outcome.campaigns} |"
        f" {outcome.lost} | {outcome.doubled} | {len(outcome.differences)} | {outcome.drift} |"
        f" {outcome.counted_seconds:.1f} s | {outcome.seconds:.0f} s |"
    )


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB)


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("faust-streaming", "aiokafka", "rocksdict"))


if __name__ == "__main__":
    sys.exit(main())
