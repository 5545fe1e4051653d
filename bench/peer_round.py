"""One round of a peer: processes of its own count all raw topics, and publish rows until they are right."""

import asyncio
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.oracle import PeerRows
from bench.processes import contender, cpu_seconds
from bench.tally_round import Round

STARTED_SECONDS = 90.0
JOINED_SECONDS = 10.0
"""How long the other processes of a peer may take to join the first one."""
RIGHT_SECONDS = 900.0
POLL_MS = 200

PeerProcess = subprocess.Popen[bytes]


class PeerFailed(Exception):
    """A peer ended, or did not reach the right rows in time."""


async def peer_round(
    module: str, environment: dict[str, str], folder: Path, python: Path, right: PeerRows, processes: int = 1
) -> Round:
    """Run a peer until its rows are right. Raises PeerFailed.

    The clock runs from the first raw event, of the process that is last to take one, to Kafka's timestamp of
    the last row.
    """
    with ExitStack() as closing:
        peers = {
            f"peer {nth}": closing.enter_context(
                contender(
                    module,
                    {**environment, "BENCH_STATE": str(folder / f"state-{nth}")},
                    folder / f"peer-{nth}.log",
                    python,
                )
            )
            for nth in range(processes)
        }
        first_s = await _first_taken(list(peers.values()))
        used = {name: cpu_seconds(process.pid) for name, process in peers.items()}
        done_s = await _right_at(environment, right, list(peers.values()))
        spent = {name: cpu_seconds(process.pid) - used[name] for name, process in peers.items()}
        return Round(done_s - first_s, spent)


async def _first_taken(processes: Sequence[PeerProcess]) -> float:
    """Return when the last process took its first record; one that takes none soon is not waited for.

    The second process joins a group that has begun already, and the rebalance takes seconds, which a long job
    would not notice: what was done before counts for the peer.
    """
    waiting = [asyncio.ensure_future(asyncio.to_thread(_first_line, process)) for process in processes]
    await asyncio.wait(waiting, timeout=STARTED_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    done, others = await asyncio.wait(waiting, timeout=JOINED_SECONDS)
    for one in others:
        # Its thread ends with the process; nobody needs to know how.
        one.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    if not done:
        raise PeerFailed(f"it took no record in {STARTED_SECONDS:g} s")
    return max(float(one.result()["first_s"]) for one in done)


def _first_line(process: PeerProcess) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise PeerFailed("it ended before its first record")
    return orjson.loads(line)


async def _right_at(environment: dict[str, str], right: PeerRows, processes: Sequence[PeerProcess]) -> float:
    """Follow the rows of the peer until all are right; return Kafka's timestamp of the last, in seconds."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=environment["BENCH_BOOTSTRAP"],
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    rows: dict[tuple[str, ...], tuple[int, ...]] = {}
    topic, ends_at = f"{environment['BENCH_NAME']}-rows", time.monotonic() + RIGHT_SECONDS
    await consumer.start()
    try:
        await _assign(consumer, topic)
        latest_ms = 0
        while rows != right:
            if time.monotonic() > ends_at or any(process.poll() is not None for process in processes):
                raise PeerFailed(f"{_off(rows, right)} of {len(right)} rows are not right")
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    rows[tuple(orjson.loads(record.key))] = tuple(orjson.loads(record.value))
                    latest_ms = max(latest_ms, record.timestamp)
        return latest_ms / 1000
    finally:
        await consumer.stop()


async def _assign(consumer: Any, topic: str) -> None:
    async with asyncio.timeout(STARTED_SECONDS):
        while topic not in await consumer.topics():
            await asyncio.sleep(POLL_MS / 1000)
        await consumer._client._wait_on_metadata(topic)
    places = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)


def _off(rows: PeerRows, right: PeerRows) -> int:
    return sum(rows.get(key) != expected for key, expected in right.items())
