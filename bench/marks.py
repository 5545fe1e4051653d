"""`python -m bench.marks FILE`: a worker that notes when the records of a partition pass each stage.

The worker itself has no such marks: this module wraps a few of its methods, in the benchmark's own process
only. A mark is a line: stage, topic, partition, the offset behind the last record, and the monotonic clock.
Writing them takes about a hundredth of a core at 3,300 events/s.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

FETCHED, TAKEN, ACKED, COMPUTED, COMMITTED, SEEN = (
    "fetched",
    "taken",
    "acked",
    "computed",
    "committed",
    "seen",
)
"""Raw topics and facts are fetched. Route has read a run when it frees its records, and the fold frees them
when it begins to count them (`taken`). Route acknowledges a run once its facts are acknowledged. Facts are
computed when their transaction begins, and committed when it has ended. The view has seen them when it has
the progress that ends the transaction."""


class Mark(Struct, frozen=True):
    """Records of a partition have passed a stage, up to an offset."""

    stage: str
    topic: str
    partition: int
    next_offset: int
    at_s: float

    @property
    def line(self) -> bytes:
        """The mark as a line of the file."""
        return f"{self.stage} {self.topic} {self.partition} {self.next_offset} {self.at_s:.6f}\n".encode()

    @classmethod
    def of(cls, line: str) -> "Mark":
        """Return the mark that a line holds."""
        stage, topic, partition, next_offset, at_s = line.split()
        return cls(stage, topic, int(partition), int(next_offset), float(at_s))


def read_marks(path: Path) -> list[Mark]:
    """Return all marks of a file."""
    return [Mark.of(line) for line in path.read_text(encoding="ascii").splitlines()]


def install(path: Path) -> None:
    """Wrap the methods that records pass through; all processes write each line to one file at once."""
    # Imported here: a process that only becomes the parent of others would import a whole worker.
    from tally.agents.view.model import View  # noqa: PLC0415
    from tally.schemas.rows import PROGRESS_KEY  # noqa: PLC0415
    from tally.streams.transport.assignment import Assignment  # noqa: PLC0415
    from tally.streams.transport.runs import Run  # noqa: PLC0415
    from tally.tables.store.partition import PartitionStore  # noqa: PLC0415

    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def mark(stage: str, topic: str, partition: int, next_offset: int) -> None:
        os.write(file, Mark(stage, topic, partition, next_offset, time.monotonic()).line)

    def receive(self: Any, fetched: Any) -> None:
        for tp, piece in fetched.pieces.items():
            if piece.records:
                mark(FETCHED, tp.topic, tp.partition, piece.records[-1].offset + 1)
        before[Assignment](self, fetched)

    def release(self: Any) -> None:
        mark(TAKEN, self.topic, self.partition, self.next_offset)
        before[Run](self)

    def ack(self: Any) -> None:
        mark(ACKED, self.topic, self.partition, self.next_offset)
        before[ACKED](self)

    async def commit(self: Any, writes: Any, progress: Any) -> None:
        mark(COMPUTED, self.facts, self.partition, progress.next_offset)
        await before[PartitionStore](self, writes, progress)
        mark(COMMITTED, self.facts, self.partition, progress.next_offset)

    def apply(self: Any, partition: int, key: bytes, value: bytes | None) -> None:
        before[View](self, partition, key, value)
        if key == PROGRESS_KEY:
            mark(SEEN, "-", partition, self.progress(partition).next_offset)

    before: dict[Any, Callable[..., Any]] = {
        Assignment: Assignment.receive,
        Run: Run.release,
        ACKED: Run.ack,
        PartitionStore: PartitionStore.commit,
        View: View.apply,
    }
    Assignment.receive = receive  # type: ignore[method-assign]
    Run.release, Run.ack = release, ack  # type: ignore[method-assign]
    PartitionStore.commit = commit  # type: ignore[method-assign]
    View.apply = apply  # type: ignore[method-assign]


def command(path: Path) -> tuple[str, str, str, str]:
    """Return the command of a worker that writes its marks to a file."""
    return (sys.executable, "-m", "bench.marks", str(path))


def _as_command(path: Path) -> None:
    """Be `tally worker`; its children are started with marks."""
    from tally.streams.cli import worker  # noqa: PLC0415

    worker.CHILD = command(path)  # type: ignore[assignment]
    worker.worker()


def _as_child(path: Path) -> None:
    from tally.streams.worker.__main__ import main  # noqa: PLC0415

    install(path)
    main()


if __name__ == "__main__":
    marks = Path(sys.argv.pop(1))
    (_as_child if len(sys.argv) > 1 else _as_command)(marks)
