"""`python -m tests.faults.certificate`: long runs under many faults, and a page of their results."""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar

from msgspec import Struct

from tests.faults.judging import assert_exact
from tests.faults.mistakes import Mistake, made
from tests.faults.oracle import Sender
from tests.faults.outages import How, broker_cut, postgres_away
from tests.faults.page import certificate
from tests.faults.run import Outcome, run
from tests.faults.stack import stack

T = TypeVar("T")

FIXED_SEEDS = (11, 12, 13)
PAGE = Path(__file__).parents[2] / "docs" / "certificate.md"
POSTGRES_AWAY_SECONDS = 600.0
POSTGRES_PER_SECOND = 500
WIRE_SECONDS = 300.0


def main() -> int:
    """Run, print the certificate, write it to a file if asked, and return 1 unless everything was exact."""
    asked = _asked()
    # Clients log ten times a second that a broker is away, which is intended here.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    seeds = asked.seed or (*FIXED_SEEDS, SystemRandom().randrange(1_000_000))
    outcomes = [_run(seed, asked) for seed in seeds]
    is_whole = asked.outages or not asked.seed
    if is_whole:
        # Print the figures now: an outage that fails half an hour later must not lose them.
        sys.stderr.write(certificate(outcomes, [], [], datetime.now(UTC)))
    outages = _outages() if is_whole else []
    mistakes = _mistakes() if is_whole else []
    page = certificate(outcomes, outages, mistakes, datetime.now(UTC))
    sys.stdout.write(page)
    if asked.write:
        PAGE.write_text(page)
    is_passed = all(one.is_passed for one in outcomes) and all(one.is_passed for one in mistakes)
    return 0 if is_passed else 1


def _mistakes() -> list[Mistake]:
    """Make each mistake on separate servers."""
    _say("mistakes")
    with tempfile.TemporaryDirectory(prefix="tally-mistakes-") as folder:
        return list(made(Path(folder)))


def _run(seed: int, asked: argparse.Namespace) -> Outcome:
    _say(f"seed {seed}: {asked.events} events, {asked.faults} faults, {asked.kills} of them kills")
    outcome = _in_a_folder(lambda folder: run(folder, seed, asked.events, asked.faults, asked.kills))
    _say(f"seed {seed}: {'exact' if outcome.is_exact else 'NOT exact'}, {outcome.seconds:.0f} s")
    return outcome


def _outages() -> list[Struct]:
    """Stop servers for as long as operators need to respond, each in a separate deployment."""
    _say(f"Postgres away for {POSTGRES_AWAY_SECONDS:g} s at {POSTGRES_PER_SECOND} events/s")
    _say(f"beside it, wires to brokers cut and stalled for {WIRE_SECONDS:g} s")
    return _in_a_folder(_all_away)


async def _all_away(folder: Path) -> list[Struct]:
    away = [_postgres_away(folder), _wire_away(folder, "cut"), _wire_away(folder, "stall")]
    return await asyncio.gather(*away)


async def _postgres_away(folder: Path) -> Struct:
    async with stack(folder / "postgres") as deployment:
        await deployment.start()
        async with Sender(deployment.settings) as sender:
            found = await postgres_away(deployment, sender, POSTGRES_AWAY_SECONDS, POSTGRES_PER_SECOND)
            await assert_exact(deployment, deployment.workers[0], sender.sent)
    return found


async def _wire_away(folder: Path, how: How) -> Struct:
    async with stack(folder / how, ("a",)) as deployment:
        await deployment.start()
        async with Sender(deployment.settings) as sender:
            found = await broker_cut(deployment, sender, WIRE_SECONDS, how)
            await assert_exact(deployment, deployment.workers[0], sender.sent)
    return found


def _in_a_folder(what: Callable[[Path], Coroutine[Any, Any, T]]) -> T:
    with tempfile.TemporaryDirectory(prefix="tally-faults-") as folder:
        return asyncio.run(what(Path(folder)))


def _say(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.certificate")
    parser.add_argument("--events", type=int, default=200_000, help="about so many raw events a run")
    parser.add_argument("--faults", type=int, default=75)
    parser.add_argument("--kills", type=int, default=50, help="how many of the faults are SIGKILL")
    parser.add_argument("--seed", type=int, action="append", help="instead of three fixed and a random one")
    parser.add_argument(
        "--outages", action="store_true", help="the long outages and mistakes even with seeds of your own"
    )
    parser.add_argument("--write", action="store_true", help="write docs/certificate.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
