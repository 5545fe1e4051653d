"""The partitions that this process folds: who comes, who goes, and one task for each."""

import asyncio
from collections.abc import Callable

from tally.agents.fold.partition import PartitionFold
from tally.tables.kafka.delivered import FactRun


class PartitionFolds:
    """Starts and ends the folds of partitions as the consumer group assigns and revokes them.

    Nothing here waits: these are calls from within a rebalance, in which no heartbeat is sent.
    """

    def __init__(
        self,
        new_fold: Callable[[int], PartitionFold],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._new_fold = new_fold
        self._failed = failed
        self._folds: dict[int, PartitionFold] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this process owns."""
        return frozenset(self._folds)

    @property
    def opening(self) -> frozenset[int]:
        """The partitions of this process whose tables are not ready yet."""
        return frozenset(partition for partition, fold in self._folds.items() if not fold.is_open)

    def assign(self, partitions: set[int]) -> None:
        """Begin to fold partitions; each opens once its former fold here has closed."""
        for partition in partitions - self._folds.keys():
            fold = self._folds[partition] = self._new_fold(partition)
            task = asyncio.ensure_future(self._run(fold, self._tasks.get(partition)))
            task.add_done_callback(self._ended)
            self._tasks[partition] = task

    def revoke(self, partitions: set[int]) -> None:
        """Let partitions go after the batch that is under way."""
        for partition in partitions & self._folds.keys():
            self._folds.pop(partition).revoke()

    def deliver(self, partition: int, run: FactRun) -> None:
        """Hand over a run; one of a partition that was just revoked is for its new owner."""
        fold = self._folds.get(partition)
        if fold is not None:
            fold.inbox.put(run)

    async def close(self, timeout_seconds: float) -> None:
        """Let all partitions go and wait for their last batches. Raises TimeoutError."""
        self.revoke(set(self._folds))
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=timeout_seconds)
            if late:
                raise TimeoutError(f"{len(late)} partitions did not close in {timeout_seconds} s")

    @staticmethod
    async def _run(fold: PartitionFold, former: "asyncio.Task[None] | None") -> None:
        if former is not None:
            await asyncio.wait({former})
        if not fold.inbox.closed:
            await fold.run()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)
