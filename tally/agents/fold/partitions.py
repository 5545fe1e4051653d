"""The partitions that this process folds, with one task for each."""

import asyncio
from collections.abc import Callable

from tally.agents.fold.partition import PartitionFold
from tally.tables.kafka.delivered import FactRun


class PartitionFolds:
    """Starts and ends the folds of partitions as the consumer group assigns and revokes them.

    `assign` and `revoke` never wait: they are called within a rebalance, while no heartbeat is sent.
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
        """The partitions that this process owns and whose tables are not ready yet."""
        return frozenset(partition for partition, fold in self._folds.items() if not fold.is_open)

    def assign(self, partitions: set[int]) -> None:
        """Begin to fold partitions; each opens once its former fold in this process has closed."""
        for partition in partitions - self._folds.keys():
            fold = self._folds[partition] = self._new_fold(partition)
            task = asyncio.ensure_future(self._run(fold, self._tasks.get(partition)))
            task.add_done_callback(self._ended)
            self._tasks[partition] = task

    def revoke(self, partitions: set[int]) -> None:
        """Stop the folds of partitions after their current batch."""
        for partition in partitions & self._folds.keys():
            self._folds.pop(partition).revoke()

    def deliver(self, partition: int, run: FactRun) -> None:
        """Deliver a run to its fold. A run of a revoked partition is dropped: the new owner reads it."""
        fold = self._folds.get(partition)
        if fold is not None:
            fold.inbox.put(run)

    async def close(self, timeout_seconds: float) -> None:
        """Revoke all partitions and wait for their last batches. Raises TimeoutError."""
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
