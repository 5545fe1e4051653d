"""The consumer: hands out runs, bounds how many are under way, and commits what is done.

Faust's own bookkeeping of acknowledgements is not used at all: it drops them at each rebalance and commits
past unfinished messages. Private names of faust-streaming 0.15.3 are used where it leaves no other way;
tests/unit/test_pins.py lists them and the versions they belong to.
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
"""Longest fetch: how soon the end of a partition is noticed where it holds only transaction markers."""
COMMIT_SECONDS = 5.0
AGAIN_SECONDS = 10.0
"""How often what has not moved is committed once more."""


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
        # Faust drops what is below the offset it read last; after a seek back that would be everything.
        self._read_offset = _Unread(lambda: None)

    def _new_consumer_thread(self) -> FetchThread:
        thread = FetchThread(self, loop=self.loop, beacon=self.beacon)
        thread.config = self.config
        thread.ours = self._ours
        return thread

    # What an agent asks.

    def owns(self, tp: TP) -> bool:
        """Return whether a partition is ours now."""
        return tp in self._ours.partitions

    @property
    def outstanding(self) -> int:
        """Runs that are delivered, not acknowledged, and still of use."""
        return self._ours.outstanding

    def seek_to(self, tp: TP, offset: int) -> None:
        """Deliver one partition again from an offset on; nothing older is delivered after this call.

        Runs of it that are under way are no longer current, and acknowledging them is harmless.
        Raises NotOwned.
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
        """Yield the runs that may be delivered, all of a topic at once; wait where there is none.

        One by one they would cost more than what is done with them: Faust makes two tasks for each message.
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
                # Taken no sooner than they are yielded: what is taken is waited for before a rebalance.
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
        """Take what the fetch under way brought, and start the next: there is always one, never two.

        Two would take both of the workers that serve the consumer's thread, and a commit none. And none where
        enough waits to be handed out.
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
        """Tell the group how far all partitions are done."""
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
        # In place of Faust's, whose timer warns whenever a busy loop makes a short interval a little longer.
        again_at_s = 0.0
        while not self.should_stop:
            await self.sleep(self.commit_interval)
            if (now_s := time.monotonic()) >= again_at_s:
                self._ours.forget_commits()
                again_at_s = now_s + AGAIN_SECONDS
            await self.commit()

    async def verify_all_partitions_active(self) -> None:
        """Leave liveness to those who know what progress is: Faust looks at its own acknowledgements."""

    # Rebalances.

    async def perform_seek(self) -> None:
        """Stay where aiokafka begins a partition, at its commit, or where `seek_to` has put it."""

    async def drain(self, timeout_seconds: float) -> None:
        """Deliver nothing more, wait for the runs under way, commit. What is left is delivered again."""
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
        """Drain, and own nothing any more."""
        await self.drain(self.config.drain_seconds)
        revoked = self._ours.end()
        if revoked:
            await self._tell(self.config.revoked, revoked)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish what is under way and commit it, while the partitions are still ours."""
        await self.revoke_all()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Begin all partitions anew."""
        await super().on_partitions_assigned(assigned, generation_id)
        if self.app.should_stop:
            # A rebalance that ends while we leave: nobody would let go of what it gives us.
            return
        self._ours.begin(set(assigned), generation_id)
        self._draining = False
        await self._tell(self.config.assigned, set(assigned))

    async def _tell(self, listener: Callable[[set[TP]], None], partitions: set[TP]) -> None:
        try:
            listener(partitions)
        except Exception as error:
            # aiokafka only logs what a rebalance listener raises.
            await self.crash(error)
            raise

    async def on_stop(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
        await super().on_stop()


class _Unread(defaultdict[TP, Any]):
    """Knows of no offset that was read."""

    def __getitem__(self, tp: TP) -> None:
        return None
