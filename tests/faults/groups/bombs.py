"""Records that are larger once they are unpacked than they look on the wire."""

from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from tally.schemas.bounds import MIB, RECORD
from tally.streams.settings import Settings
from tests.faults.hooked_worker import HookedWorker

CODECS = ("gzip", "snappy", "lz4", "zstd")
SIZES_MIB = (5, 64, 300)


async def send_bomb(
    settings: Settings, topic: str, codec: str, value: bytes, partition: int = 0
) -> int | None:
    """Publish one record as a batch of its own; return its offset, or None where the broker refuses it."""
    producer = AIOKafkaProducer(
        **settings.kafka_client(),
        compression_type=codec,
        max_batch_size=2 * len(value),
        max_request_size=8 * RECORD.most,
        request_timeout_ms=60_000,
    )
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.append(key=b"bomb", value=value, timestamp=None)
        sent = await producer.send_batch(batch, settings.names.raw(topic), partition=partition)
        offset: int = (await sent).offset
    except MessageSizeTooLargeError:
        return None
    finally:
        await producer.stop()
    return offset


def padded(value: bytes, size_mib: int) -> bytes:
    """Return a JSON value with spaces behind it: still the same value, if it were read."""
    return value + b" " * (size_mib * MIB - len(value))


def peak_mib(worker: HookedWorker) -> float:
    """Return the most memory that a worker has held since it was started."""
    assert worker.process is not None
    status = Path(f"/proc/{worker.process.pid}/status").read_text(encoding="ascii")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) / 1024
