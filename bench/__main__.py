"""`python -m bench`: all benchmarks in one run, and a page of what came of them."""

import argparse
import asyncio
import logging
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from bench.machine import machine
from bench.page import page
from bench.report import Report
from bench.sections import QUICK, SECTIONS, Sizes
from bench.servers import servers
from bench.throughput_figures import PEERS


def main() -> int:
    """Measure, print the page, write it where asked, and return 1 where a section has failed."""
    asked = _asked()
    # Clients say of every topic that is made that they do not know it yet.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    report = measured(asked.only, _sizes(asked))
    told = page(report, machine(asked.peers), datetime.now(UTC), is_quick=asked.quick)
    sys.stdout.write(told)
    if asked.write and not report.failed:
        asked.write.write_text(told, encoding="utf-8")
    return 1 if report.failed else 0


def measured(names: Sequence[str], sizes: Sizes) -> Report:
    """Run sections, each on fresh servers; one that fails has no figures, and the others go on."""
    report = Report()
    for name in names:
        _say(f"{name} …")
        began_s = time.monotonic()
        try:
            with servers() as there:
                asyncio.run(SECTIONS[name](there, sizes, report))
        except Exception:
            report.failed.append(name)
            sys.stderr.write(traceback.format_exc())
        report.seconds[name] = time.monotonic() - began_s
        _say(f"{name}: {'FAILED' if name in report.failed else 'done'}, {report.seconds[name]:.0f} s")
    return report


def _sizes(asked: argparse.Namespace) -> Sizes:
    sizes = QUICK if asked.quick else Sizes()
    throughput = structs.replace(
        sizes.throughput, rounds=asked.rounds or sizes.throughput.rounds, peers=asked.peers
    )
    half = asked.load or sizes.half_per_second
    return structs.replace(sizes, throughput=throughput, half_per_second=half)


def _say(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", type=_names, default=tuple(SECTIONS), help=f"of {','.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, help="of throughput, all contenders in turn")
    parser.add_argument(
        "--load",
        type=float,
        metavar="EVENTS",
        help="the largest load of freshness, a second; else half of the throughput, where that is measured",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny: shows that everything runs, measures nothing"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page where nothing has failed")
    parser.add_argument("--peers", type=Path, default=PEERS, help="the Python with the peers")
    asked = parser.parse_args()
    if asked.write and (asked.quick or set(asked.only) != set(SECTIONS)):
        parser.error("only a whole run writes the page")
    return asked


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in SECTIONS if name in text.split(","))
    if len(names) != len(text.split(",")):
        raise argparse.ArgumentTypeError(f"one or more of {', '.join(SECTIONS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
