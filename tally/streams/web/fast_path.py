"""Usual requests of one kind, answered without a task, a request and a response object of their own.

aiohttp reads every request, bounds it and refuses what is malformed; it spends half of its time on what comes
after. A server that is asked the same thing thousands of times a second takes such requests here, each
between two of aiohttp's, and leaves whatever is unusual about one to aiohttp. Both ways answer byte for byte
alike (`tests/integration/test_fast_webhooks.py`).
"""

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from tally.streams.web.connections import KEEP_ALIVE_SECONDS, Connection, Connections

FastPath = Callable[[RawRequestMessage, StreamReader, Callable[[bytes], None]], bool]
"""Answers a request that is there whole by calling the third argument once, now or later; or returns False,
has read nothing of it, and leaves it to aiohttp."""


class FastPathConnection(Connection):
    """A connection that offers each request to a `FastPath` before aiohttp handles it.

    It stands between aiohttp's reader and the task that handles what was read, and uses their private names
    (tests/unit/test_pins.py lists them). While it answers a request, what follows waits behind it.
    """

    def __init__(self, handler: web.RequestHandler, connections: Connections, fast_path: FastPath) -> None:
        super().__init__(handler, connections)
        self._fast_path = fast_path
        self._is_answering = False

    def data_received(self, data: bytes) -> None:
        """Let aiohttp read the bytes, and take the request that they complete if it is a usual one."""
        handler = self._handler
        waiter = handler._waiter
        if waiter is None or waiter.done():  # aiohttp handles a request, and goes on by itself
            super().data_received(data)
            return
        handler._waiter = None  # else it would take the request at once
        try:
            super().data_received(data)
        finally:
            handler._waiter = waiter
        self._go_on()

    def _go_on(self) -> None:
        """Take the request that has come, or wake aiohttp; while one is being answered, it waits."""
        handler = self._handler
        if self._is_answering or not handler._messages:
            return
        if len(handler._messages) == 1 and not handler._paused and not handler._reading_paused:
            message, body = handler._messages.popleft()
            if isinstance(message, RawRequestMessage) and body.is_eof() and self._is_taken(message, body):
                return
            handler._messages.appendleft((message, body))
        if (waiter := handler._waiter) is not None and not waiter.done():
            waiter.set_result(None)

    def _is_taken(self, message: RawRequestMessage, body: StreamReader) -> bool:
        handler = self._handler
        self._is_answering = True
        self.request_begins()
        if not self._fast_path(message, body, self._answer):
            self._is_answering = False
            self.request_ends()
            return False
        if handler._parser is not None:
            handler._parser.message_consumed()
        if self._is_answering:  # else it was answered at once
            # What stops the server waits for it, and what ends idle connections does not take it for one.
            handler._request_in_progress = True
            handler._next_keepalive_close_time = self.since_s + 2 * KEEP_ALIVE_SECONDS
        return True

    def _answer(self, answer: bytes) -> None:
        """Write an answer, and go on with what came after the request."""
        handler, transport = self._handler, self.transport
        self._is_answering = False
        self.request_ends()
        handler._request_in_progress = False
        handler._next_keepalive_close_time = self.since_s + KEEP_ALIVE_SECONDS
        if transport is not None and not transport.is_closing():
            transport.write(answer)
            if handler._close:  # the server stops
                transport.close()
        if (stopping := handler._handler_waiter) is not None and not stopping.done():
            stopping.set_result(None)
        if handler._messages:
            asyncio.get_running_loop().call_soon(self._go_on)
