"""The consumer: delivers runs, bounds how many are under way, and commits the offsets of finished runs.

Faust's own tracking of acknowledgements is not used: it drops them at each rebalance and commits past
unfinished messages. The code uses private names of faust-streaming 0.15.3 where there is no public way;
tests/unit/test_pins.py lists them with their versions.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, cast

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode import Service

from tally.agents.clock import wait_for
from tally.streams.transport.assignment import Assignment
from tally.streams.transport.config import TransportConfig
from tally.streams.transport.fetching import Fetched, FetchThread
from tally.streams.transport.runs import Run

log = logging.getLogger(__name__)

FETCH_SECONDS = 0.2
"""Longest fetch. It bounds the delay before the position moves past trailing transaction markers."""
COMMIT_SECONDS = 5.0
AGAIN_SECONDS = 10.0
"""How often unchanged offsets are committed again."""


class RunConsumer(driver.Consumer):
    """Delivers a list of runs per event instead of a message per record."""

    config: ClassVar[TransportConfig]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ours = Assignment(self.config.limits, self._on_ack)
        self._draining = False
        self._fetching: asyncio.Future[Fetched] | None = None
        self._woken = asyncio.Event()
        self._acked_one = asyncio.Event()
        self._committing = asyncio.Lock()
        super().__init__(*args, **kwargs)
        # Faust drops records below the offset that it read last; after a seek back it would drop all.
        self._read_offset = _Unread(lambda: None)

    def _new_consumer_thread(self) -> FetchThread:
        thread = FetchThread(self, loop=self.loop, beacon=self.beacon)
        thread.config = self.config
        thread.ours = self._ours
        return thread

    # For agents.

    def owns(self, tp: TP) -> bool:
        """Return whether this worker owns a partition now."""
        return tp in self._ours.partitions

    @property
    def outstanding(self) -> int:
        """The number of current runs that are delivered and not acknowledged."""
        return self._ours.outstanding

    def seek_to(self, tp: TP, offset: int) -> None:
        """Deliver one partition again from an offset on; older records are not delivered after this call.

        Its runs under way are no longer current, and acknowledging them has no effect. Raises NotOwned, and
        ValueError for a negative offset.
        """
        if offset < 0:
            raise ValueError(f"no offset: {offset}")
        generation, epoch = self._ours.seek(tp)
        cast(FetchThread, self._thread).seek_soon(tp, offset, epoch, generation)
        self._on_ack()

    # Delivery.

    def _on_ack(self) -> None:
        self._woken.set()
        self._acked_one.set()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's
        """Yield the runs that may be delivered, all of a topic in one message; wait if there are none.

        Faust creates two tasks for each message: one message a run would cost more than processing it.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
        if self.should_stop:
            return
        self._woken.clear()
        self._collect()
        idle = True
        if not self._draining:
            for topic in self._ours.topics:
                # Taken only just before they are yielded: a rebalance waits for all runs that are taken.
                if runs := list(self._ours.deliverable(topic)):
                    idle = False
                    self._resume_if_roomy()
                    tp = TP(topic, runs[0].partition)
                    yield tp, self._message(tp, runs)
                if self._draining or not self.flow_active:
                    return
        if idle:
            await wait_for(self._woken, timeout)

    def _collect(self) -> None:
        """Take the result of a finished fetch and start the next one; at most one is under way.

        Two fetches would occupy both workers that serve the consumer's thread and leave none for a commit.
        No fetch starts while the backlogs are full.
        """
        if self._fetching is not None and self._fetching.done():
            fetched, self._fetching = self._fetching.result(), None
            self._ours.receive(fetched)
        if self._fetching is None and not self._ours.has_enough:
            fetch = cast(FetchThread, self._thread).fetch(FETCH_SECONDS)
            self._fetching = asyncio.ensure_future(fetch)
            self._fetching.add_done_callback(lambda _: self._woken.set())

    def _resume_if_roomy(self) -> None:
        for tp in self._ours.with_room_again():
            if self._ours.generation is not None:
                cast(FetchThread, self._thread).resume_soon(tp, self._ours.generation)

    def _message(self, tp: TP, runs: list[Run]) -> Message:
        message = ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=runs[0].next_offset,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=cast(bytes, runs),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        return cast(Message, message)

    # Committing.

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        """Commit the offsets of all partitions that have moved; return whether that was done."""
        async with self._committing:
            moved = self._ours.moved()
            if not moved:
                return False
            self._ours.topic_ids = {tp: point.topic_id for tp, (_, point) in moved.items()}
            if not await self._commit({tp: point.offset for tp, (_, point) in moved.items()}):
                return False
            for runs, point in moved.values():
                runs.committed = point
            return True

    @Service.task
    async def _commit_handler(self) -> None:
        # Replaces Faust's task, whose timer warns whenever a busy event loop stretches a short interval.
        again_at_s = 0.0
        while not self.should_stop:
            await self.sleep(self.commit_interval)
            if (now_s := time.monotonic()) >= again_at_s:
                self._ours.forget_commits()
                again_at_s = now_s + AGAIN_SECONDS
            await self.commit()

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: Faust judges by its own acknowledgements, which are not used. See `runtime.health`."""

    # Rebalances.

    async def perform_seek(self) -> None:
        """Do nothing: partitions stay at their committed offset, or where `seek_to` has put them."""

    async def drain(self, timeout_seconds: float) -> None:
        """Stop delivery, wait for the runs under way, and commit. Unfinished runs are delivered again."""
        self._draining = True
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._ours.outstanding:
                    self._acked_one.clear()
                    await self._acked_one.wait()
        except TimeoutError:
            log.info("runs under way are left to the next owner of their partitions: %s", self.app.conf.id)
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self.commit()
        except TimeoutError:
            log.warning("the commit before a rebalance timed out: %s", self.app.conf.id)

    async def revoke_all(self) -> None:
        """Drain, then give up all partitions."""
        await self.drain(self.config.drain_seconds)
        revoked = self._ours.end()
        if revoked:
            await self._tell(self.config.revoked, revoked)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drain and commit while this worker still owns the partitions."""
        await self.revoke_all()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Start all partitions with an empty state."""
        await super().on_partitions_assigned(assigned, generation_id)
        if self.app.should_stop:
            # A rebalance ended during our stop: nothing would revoke these partitions again.
            return
        self._ours.begin(set(assigned), generation_id)
        self._draining = False
        await self._tell(self.config.assigned, set(assigned))

    async def _tell(self, listener: Callable[[set[TP]], None], partitions: set[TP]) -> None:
        try:
            listener(partitions)
        except Exception as error:
            # aiokafka only logs exceptions of a rebalance listener.
            await self.crash(error)
            raise

    async def on_stop(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
        await super().on_stop()


class _Unread(defaultdict[TP, Any]):
    """Reports that no offset of any partition was read."""

    def __getitem__(self, tp: TP) -> None:
        return None
