"""Records that are larger once they are unpacked than they look on the wire."""

from collections.abc import Iterable
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from tally.schemas.bounds import MIB, RECORD
from tally.streams.settings import Settings
from tests.faults.hooked_worker import HookedWorker

CODECS = ("gzip", "snappy", "lz4", "zstd")
SIZES_MIB = (5, 64, 300)


async def send_bomb(settings: Settings, topic: str, codec: str | None, value: bytes) -> int | None:
    """Publish one record as a batch of its own; return its offset, or None where the broker refuses it."""
    try:
        ((_, offset),) = await send_bombs(settings, topic, codec, value, [0])
    except MessageSizeTooLargeError:
        return None
    return offset


async def send_bombs(
    settings: Settings, topic: str, codec: str | None, value: bytes, partitions: Iterable[int]
) -> list[tuple[int, int]]:
    """Publish one record to each partition, each as a batch of its own; return partitions and offsets."""
    producer = AIOKafkaProducer(
        **settings.kafka.client(),
        compression_type=codec,
        max_batch_size=2 * len(value),
        max_request_size=8 * RECORD.most,
        request_timeout_ms=60_000,
    )
    await producer.start()
    try:
        sent = []
        for partition in partitions:
            batch = producer.create_batch()
            batch.append(key=b"bomb", value=value, timestamp=None)
            # One after the other: the producer holds them uncompressed.
            done = await producer.send_batch(batch, settings.names.raw(topic), partition=partition)
            sent.append((partition, (await done).offset))
    finally:
        await producer.stop()
    return sent


def padded(value: bytes, size_mib: int) -> bytes:
    """Return a JSON value with spaces behind it: still the same value, if it were read."""
    return value + b" " * (size_mib * MIB - len(value))


def peak_mib(worker: HookedWorker) -> float:
    """Return the most memory that a worker has held since it was started."""
    assert worker.process is not None
    status = Path(f"/proc/{worker.process.pid}/status").read_text(encoding="ascii")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) / 1024
