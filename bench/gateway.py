"""`python -m bench.gateway`: what a gateway takes a second beside a bare aiohttp app, and how late it shows.

Signature and acknowledgement are included, and the sender runs on the same machine. Both servers get the same
bodies, in turn, round after round, so that what else the machine does falls on both.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from statistics import median

import aiohttp
import msgspec
from aiokafka import AIOKafkaProducer
from msgspec import Struct

from bench.bare_app import PORT as BARE_PORT
from bench.figures import Spread, percentile
from bench.gateway_sender import Sent
from bench.processes import contender, cpu_seconds
from bench.servers import Servers, own_database, servers
from bench.table import ms, rate, table, us
from bench.worker import TWO, Worker
from bench.worker import running as running_worker
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, as_producers_write
from tally.streams.dev.free_port import free_port
from tally.streams.settings import load
from tests.support.gateway import SECRET, Gateway, gateway, records_of, signed
from tests.support.judge import prepare
from tests.support.keys import SHOWN
from tests.support.webhooks import NUMBER, body, messages, status

PATH = "/webhooks/shop"
ROUND_BODIES = 1_000_000
"""Numbers of bodies that one round may use."""
LEAST_PER_SECOND = 3_300.0
OF_BARE = 0.6
"""Or at least so much of what the bare app does."""
OF_MOST = 0.7
P99_MS = 250.0
LATER_MS = 30.0
STARTED_SECONDS = 30.0
SEEN_SECONDS = 15.0
POLL_SECONDS = 0.004
PAUSE_SECONDS = 0.25
"""The longest pause between two probes: an event comes at any moment between two turns of the worker.

Without pauses each probe begins where the one before it was counted: a millisecond more may cost a turn."""
SEED = 7
TENANT, CAMPAIGN = "t1", "delays"


class Plan(Struct, frozen=True):
    """Rounds and their length."""

    rounds: int = 5
    seconds: float = 8.0
    connections: int = 64
    probes: int = 200


class Round(Struct, frozen=True):
    """One round of one server."""

    sent: Sent
    cpu_us: float
    """Of the server, a request."""


class Figures(Struct, frozen=True):
    """All that is measured."""

    bare: tuple[Round, ...]
    ours: tuple[Round, ...]
    at_load: Sent
    load_per_second: float
    direct_ms: tuple[float, ...]
    """From the begin of publishing to Kafka until the view's answer has it."""
    posted_ms: tuple[float, ...]
    """From the begin of a post until then."""

    @property
    def later_ms(self) -> float:
        """How much later the median event over the gateway is seen."""
        return median(self.posted_ms) - median(self.direct_ms)


async def measured(there: Servers, plan: Plan) -> Figures:
    """Measure on fresh servers. Raises AssertionError where a body that got 200 is not in the topic."""
    async with own_database(there.environment("gateway-")) as environment:
        await prepare(environment)
        bare_port = free_port(0)
        log = there.folder / "bare.log"
        async with gateway(environment, there.folder / "gateway.log") as ours:
            await ours.ready()
            with contender("bench.bare_app", {BARE_PORT: str(bare_port)}, log) as bare:
                await listening(bare_port)
                pairs = [
                    (
                        await round_of(bare_port, bare.pid, 2 * number, plan),
                        await round_of(ours.settings.gateway_port, ours.process.pid, 2 * number + 1, plan),
                    )
                    for number in range(plan.rounds)
                ]
            most = median(one.sent.per_second for _, one in pairs)
            at_load = await sent_by(ours.settings.gateway_port, 2 * plan.rounds, plan, OF_MOST * most)
            answered = [*(one.sent for _, one in pairs), at_load]
            safe = sum(one.statuses.get(200, 0) for one in answered)
            kept = len(await records_of(load(environment), WEBHOOK_EVENTS))
            assert kept >= safe, f"{safe} bodies got 200, {kept} are in the topic"
    # With topics of its own: the worker would count what was posted so far first.
    async with own_database(there.environment("delays-")) as environment:
        await prepare(environment)
        async with gateway(environment, there.folder / "delays.log") as ours:
            await ours.ready()
            direct_ms, posted_ms = await delays(environment, there.folder, ours, plan.probes)
    return Figures(
        tuple(one for one, _ in pairs),
        tuple(one for _, one in pairs),
        at_load,
        OF_MOST * most,
        tuple(direct_ms),
        tuple(posted_ms),
    )


async def round_of(port: int, pid: int, number: int, plan: Plan) -> Round:
    """Run one round against a server, as fast as it answers."""
    before_s = cpu_seconds(pid)
    sent = await sent_by(port, number, plan)
    found = Round(sent, (cpu_seconds(pid) - before_s) * 1e6 / max(1, sum(sent.statuses.values())))
    name = "tally gateway" if number % 2 else "bare aiohttp"
    sys.stderr.write(f"{name}: {rate(sent.per_second)} POST/s, {us(found.cpu_us)} us of CPU each\n")
    return found


async def sent_by(port: int, number: int, plan: Plan, per_second: float | None = None) -> Sent:
    """Run a sender to its end. Raises AssertionError if it fails."""
    arguments = [str(port), PATH, "--secret", SECRET, "--first", str(number * ROUND_BODIES)]
    arguments += ["--connections", str(plan.connections), "--seconds", str(plan.seconds)]
    arguments += [] if per_second is None else ["--rate", str(per_second)]
    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.gateway_sender", *arguments), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await sender.communicate()
    assert sender.returncode == 0
    return msgspec.json.decode(told, type=Sent, strict=False)


async def listening(port: int) -> None:
    """Wait until a server listens."""
    async with asyncio.timeout(STARTED_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def delays(
    environment: dict[str, str], folder: Path, ours: Gateway, probes: int
) -> tuple[list[float], list[float]]:
    """Return how long statuses take to the view, one by one, published to Kafka and posted in turn."""
    worker = Worker(environment, folder, "delays", TWO)
    async with running_worker(worker), producing(worker) as producer:
        names = worker.settings.names
        sends = [as_producers_write(send(number)) for number in range(2 * probes)]
        await asyncio.gather(*[await producer.send(names.raw(SEND_RESULTS), value) for value in sends])
        async with aiohttp.ClientSession(headers=SHOWN) as http:
            await shown(http, worker, "accepted", 2 * probes)

            async def probe(number: int, is_posted: bool) -> float:
                value = delivered(number)
                began_s = time.perf_counter()
                if is_posted:
                    async with ours.http.post(ours.url + PATH, data=value, headers=signed(value)) as response:
                        assert response.status == 200
                else:
                    await producer.send_and_wait(names.raw(WEBHOOK_EVENTS), value)
                await shown(http, worker, "delivered", number + 1)
                return 1000 * (time.perf_counter() - began_s)

            found: tuple[list[float], list[float]] = [], []
            rng = Random(SEED)
            for number in range(2 * probes):
                await asyncio.sleep(rng.uniform(0, PAUSE_SECONDS))
                found[number % 2].append(await probe(number, number % 2 == 1))
            return found


@asynccontextmanager
async def producing(worker: Worker) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a producer as the gateway's."""
    producer = AIOKafkaProducer(**worker.settings.kafka.client(), acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def shown(http: aiohttp.ClientSession, worker: Worker, counter: str, wanted: int) -> None:
    """Wait until the campaign's answer has a count."""
    url = f"{worker.url}/v1/tenants/{TENANT}/campaigns/{CAMPAIGN}"
    async with asyncio.timeout(SEEN_SECONDS):
        while True:
            async with http.get(url) as response:
                answer = await response.json() if response.status == 200 else {}
            if answer.get("totals", {}).get(counter, 0) >= wanted:
                return
            await asyncio.sleep(POLL_SECONDS)


def send(number: int) -> dict[str, object]:
    """Return the send result of a message."""
    return {
        "tenant": TENANT,
        "channel": "whatsapp",
        "campaign": CAMPAIGN,
        "contact": {"id": number, "phone": f"3161{number:08d}"},
        "outcome": "accepted",
        "template": {"name": "promo", "language": "en"},
        "phone_number_id": NUMBER,
        "message_id": f"wamid.delays.{number}",
        "time": round(time.time() * 1000),
    }


def delivered(number: int) -> bytes:
    """Return the webhook that says that a message was delivered."""
    return body(
        messages(
            statuses=[
                status(id=f"wamid.delays.{number}", status="delivered", timestamp=str(round(time.time())))
            ]
        )
    )


def page(found: Figures) -> str:
    """Return the figures as tables, and whether each bound holds. Pure."""
    lines = []
    for name, rounds in (("bare aiohttp", found.bare), ("tally gateway", found.ours)):
        spread = Spread.of([one.sent.per_second for one in rounds])
        p99 = median(one.sent.p99_ms for one in rounds)
        lines.append((name, spread, us(median(one.cpu_us for one in rounds)), ms(p99)))
    by_round = [
        ours.sent.per_second / bare.sent.per_second for bare, ours in zip(found.bare, found.ours, strict=True)
    ]
    head = ("server", "POST/s: median (least to most)", "CPU us a POST", "p99 as fast as it can")
    parts = [
        table(head, lines),
        f"Of the bare app by round: {', '.join(f'{share:.0%}' for share in by_round)}.",
        table(
            ("figure", "value", "bound", "held"),
            [(what, value, bound, "yes" if held else "NO") for what, value, bound, held in judged(found)],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def judged(found: Figures) -> Sequence[tuple[str, str, str, bool]]:
    """Return each figure with its bound, and whether it is held. Pure."""
    ours = median(one.sent.per_second for one in found.ours)
    bare = median(one.sent.per_second for one in found.bare)
    refused = sum(
        count
        for one in (*(one.sent for one in found.ours), found.at_load)
        for code, count in one.statuses.items()
        if code != 200
    )
    least = min(LEAST_PER_SECOND, OF_BARE * bare)
    return (
        ("POST/s", rate(ours), f"at least {rate(least)}: 3,300, or the bare app's less 40 %", ours >= least),
        (
            f"p99 at {rate(found.load_per_second)} POST/s, {OF_MOST:.0%} of that",
            ms(found.at_load.p99_ms),
            f"below {ms(P99_MS)}",
            found.at_load.p99_ms < P99_MS,
        ),
        ("answers other than 200", str(refused), "0", refused == 0),
        (
            "event to view, median: posted less published",
            f"{ms(median(found.posted_ms))} less {ms(median(found.direct_ms))}",
            f"at most {ms(LATER_MS)}",
            found.later_ms <= LATER_MS,
        ),
        (
            "the same, p99",
            f"{ms(percentile(found.posted_ms, 0.99))} less {ms(percentile(found.direct_ms, 0.99))}",
            "",
            True,
        ),
    )


def main() -> int:
    """Measure, print the tables, and return 1 where a bound is not held."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    usual = Plan()
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of each round")
    parser.add_argument("--connections", type=int, default=usual.connections)
    parser.add_argument("--probes", type=int, default=usual.probes, help="of each way to the view")
    asked = parser.parse_args()
    plan = Plan(asked.rounds, asked.seconds, asked.connections, asked.probes)
    with servers() as there:
        found = asyncio.run(measured(there, plan))
    sys.stdout.write(page(found))
    return 0 if all(held for *_, held in judged(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
