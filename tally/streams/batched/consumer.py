"""The consumer: hands out runs, bounds how many are under way, and commits what is done.

Private names of faust-streaming 0.15.3 are used where it leaves no other way; the version is pinned, and
tests/unit/test_batched_pins.py says which.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, cast

import structlog
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from tally.streams.batched.options import Options
from tally.streams.batched.runs import Deliveries, Run
from tally.streams.batched.thread import BatchedThread

log = structlog.get_logger()

RECHECK_SECONDS = 0.02
"""How long a fetch may wait while some partitions are full: their room is noticed after it."""
DRAIN_POLL_SECONDS = 0.01


class BatchedConsumer(driver.Consumer):
    """Delivers a Run per event instead of a message per record."""

    options: ClassVar[Options]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._deliveries: defaultdict[TP, Deliveries] = defaultdict(Deliveries)
        self._seeking: set[TP] = set()
        self._epoch = 0
        """Raised by whatever makes records that are already fetched stale."""
        self._room = asyncio.Event()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> BatchedThread:
        thread = BatchedThread(self, loop=self.loop, beacon=self.beacon)
        thread.options = self.options
        thread.positions = {}
        return thread

    # Delivery.

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's
        """Fetch, and yield the runs of all partitions in turn."""
        records, _ = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        epoch, positions = self._epoch, cast(BatchedThread, self._thread).positions
        todo = deque(_split(records, self.options.max_records))
        while todo:
            if not self.flow_active or self._epoch != epoch:
                return
            tp, run_records = todo.popleft()
            yield tp, self._message(tp, run_records)
        if self._epoch == epoch:
            for tp, position in positions.items():
                self._deliveries[tp].reached(position)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109 - Faust's
        """Fetch from the partitions that have room.

        Faust itself sleeps a whole second when none has, and tells room by full queues.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
        active = self._get_active_partitions()
        roomy = {tp for tp in active if self._has_room(tp)}
        if not roomy:
            self._room.clear()
            # Looked at again after the time-out, since partitions may have been assigned meanwhile.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), RECHECK_SECONDS)
            return {}, active
        wait_seconds = timeout if len(roomy) == len(active) else RECHECK_SECONDS
        return await self._getmany(active_partitions=roomy, timeout=wait_seconds), active

    def _has_room(self, tp: TP) -> bool:
        return tp not in self._seeking and self._deliveries[tp].outstanding < self.options.max_outstanding

    def _message(self, tp: TP, records: list[Any]) -> Message:
        run = Run(tp.topic, tp.partition, records, lambda done: self._finished(tp, done))
        self._deliveries[tp].add(run)
        first = records[0]
        message = ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=first.offset,
            timestamp=0.0,
            timestamp_type=first.timestamp_type,
            headers=None,
            key=None,
            value=cast(bytes, run),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        return cast(Message, message)

    def _finished(self, tp: TP, run: Run) -> None:
        if self._deliveries[tp].finished(run):
            self._room.set()

    # Committing.

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return (tp for tp in self._deliveries if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._deliveries[tp].committable()

    async def _commit_offsets(
        self,
        offsets: Mapping[TP, int],
        start_new_transaction: bool = True,  # noqa: ARG002 - Faust's
    ) -> bool:
        owned = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        if not owned or not await self._commit(owned):
            return False
        self._committed_offset.update(owned)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Holes need no bookkeeping: only delivered runs count."""

    # Seeking and rebalances.

    async def perform_seek(self) -> None:
        """Go back to the committed offsets; everything that is not committed is delivered again.

        Faust clears the queues after it has sought and before it lets records flow, so what would be
        delivered in between would be lost: the flow stops here, and both callers resume it.
        """
        self.stop_flow()
        self._forget(list(self._deliveries))
        await super().perform_seek()

    async def seek_to(self, tp: TP, offset: int) -> None:
        """Deliver one partition again from an offset; runs of it that are under way are forgotten."""
        self._seeking.add(tp)
        self._forget([tp])
        try:
            await self._seek(tp, offset)
            # Below it Faust drops what is delivered; it must not judge by what came before.
            self._read_offset[tp] = None
        finally:
            self._seeking.discard(tp)
            self._forget([tp])
            self._room.set()

    def _forget(self, tps: Iterable[TP]) -> None:
        self._epoch += 1
        for tp in tps:
            self._deliveries.pop(tp, None)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish what is under way and commit it, while the partitions are still ours.

        Faust itself drops its lists of acknowledgements first and commits afterwards.
        """
        self.stop_flow()
        if not self.should_stop:
            self.options.revoked(revoked)
            await self._drain(revoked)
            if self.assignment():
                await self.commit()
        self._forget(revoked)
        await super().on_partitions_revoked(revoked)

    async def _drain(self, tps: set[TP]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.options.drain_seconds
        while any(self._deliveries[tp].outstanding for tp in tps):
            if loop.time() > deadline:
                if self.options.drain_seconds:
                    log.warning("runs under way at a rebalance will be done again", app=self.app.conf.id)
                return
            await asyncio.sleep(DRAIN_POLL_SECONDS)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take over partitions."""
        await super().on_partitions_assigned(assigned, generation_id)
        self.options.assigned(assigned)


def _split(records: Mapping[TP, list[Any]], size: int) -> list[tuple[TP, list[Any]]]:
    """Cut what a fetch returned into runs, the partitions in turn. Pure."""
    runs = [
        (first, TP(tp.topic, tp.partition), of_it[first : first + size])
        for tp, of_it in records.items()
        for first in range(0, len(of_it), size)
    ]
    return [(tp, run) for _, tp, run in sorted(runs, key=lambda run: run[0])]
