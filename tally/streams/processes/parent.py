"""The parent of a worker's processes: starts them, listens for them, ends when one of them ends.

It counts nothing, so that it answers while a child hangs. It starts no child again: a worker is one thing,
which its supervisor starts anew. So a child's counters begin again only when those of all begin again.
"""

import asyncio
import signal
import socket
import time

import structlog

from tally.agents.clock import wait_for
from tally.streams.processes.child import Child
from tally.streams.processes.endings import Ended, as_shells_say, exit_code, turn
from tally.streams.processes.front import Front, NotServed, listeners
from tally.streams.processes.site import Site, site_app, unavailable_app
from tally.streams.processes.split import Plan
from tally.streams.web.serving import WebServer

log = structlog.get_logger()

LOOK_SECONDS = 0.2


class Parent:
    """A worker of several processes, from its start to its end."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stopping = asyncio.Event()
        self._children = [Child(roles, time.monotonic) for roles in plan.children]
        self._site = Site(self._children, self._stopping.is_set, time.monotonic)
        self._ends: list[Ended] = []

    async def run(self) -> int:
        """Run until a signal or the end of a child, stop all, and return the code to exit with."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        server = WebServer(site_app(self._site, self._plan.hosts), self._site.closed)
        await _started(server, self._plan.metrics_host, self._plan.metrics_port)
        instead = WebServer(unavailable_app(), self._site.closed)
        await instead.prepare()
        self._site.follow(lambda: len(server.connections) + len(instead.connections))
        has_view = any("view" in roles for roles in self._plan.children)
        listening = listeners(self._plan.host, self._plan.port) if has_view else []
        front = Front(instead.adopt, self._to_view)
        serving = [asyncio.create_task(front.serve(one)) for one in listening]
        for child in self._children:
            await child.start(self._plan.command)
        waiting = {asyncio.create_task(self._wait(child)) for child in self._children}
        log.info("worker starts", processes={child.name: child.pid for child in self._children})
        while not self._stopping.is_set():
            await wait_for(self._stopping, LOOK_SECONDS)
            for task in serving:
                if task.done():
                    task.result()
        await self._stop()
        await asyncio.wait(waiting)
        for task in serving:
            task.cancel()
        for one in listening:
            one.close()
        await instead.stop()
        await server.stop()
        return exit_code(self._ends)

    async def _wait(self, child: Child) -> None:
        end = await child.wait()
        self._ends.append(end)
        if not end.asked:
            log.critical("a process of the worker has ended", ended=end.name, code=as_shells_say(end.code))
        self._stopping.set()

    async def _stop(self) -> None:
        """Stop the children in order; kill those that run after the deadline."""
        began_s = time.monotonic()
        while any(child.end is None for child in self._children):
            since_s = time.monotonic() - began_s
            running = [child.end is None for child in self._children]
            for child in self._children[: turn(since_s, running, self._plan.turn_seconds)]:
                child.stop()
            if since_s > self._plan.stop_seconds:
                for child in self._children:
                    child.kill()
            await asyncio.sleep(LOOK_SECONDS / 4)

    def _to_view(self) -> socket.socket | None:
        return next((child.way for child in self._children if child.is_serving), None)


async def _started(server: WebServer, host: str, port: int) -> None:
    try:
        await server.start(host, port)
    except OSError as error:
        raise NotServed(host, port, error) from None
