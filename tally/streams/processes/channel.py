"""A channel between a worker's parent process and one of its children: questions and answers in frames.

It is one end of a socket pair that the parent made before it started the child. So nobody else can reach it,
nothing is left in the file system, and its end tells each side that the other is gone.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from itertools import count

import structlog
from msgspec import Struct, msgpack

log = structlog.get_logger()

LENGTH_BYTES = 4


class Frame(Struct, array_like=True, frozen=True):
    """A question, the answer to the question with the same number, or the lack of one."""

    number: int
    is_answer: bool
    what: str = ""
    body: bytes | None = None
    """None as an answer: the other side knows no answer (yet)."""


class NoAnswer(Exception):
    """The other side did not answer in time, is gone, or knows no answer."""


Answering = Callable[[bytes], Awaitable[bytes]]

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Frame).decode


class Channel:
    """One end of a channel; both sides may ask."""

    def __init__(self, ours: socket.socket, answers: Mapping[str, Answering]) -> None:
        self._socket = ours
        self._answers = answers
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[bytes | None]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self.is_closed = False

    async def open(self) -> None:
        """Begin; from now on this side may ask, and `run` has to run."""
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)

    async def run(self) -> None:
        """Read frames until the other side is gone."""
        try:
            while True:
                length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES))
                self._note(_decode(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.is_closed = True
            self._writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(None)

    async def ask(self, what: str, body: bytes = b"", *, within_seconds: float) -> bytes:
        """Return the answer of the other side. Raises NoAnswer."""
        number = next(self._numbers)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(within_seconds):
                self._send(Frame(number, False, what, body))
                found = await answer
        except TimeoutError:
            raise NoAnswer(f"no answer within {within_seconds:g} s") from None
        finally:
            del self._waiting[number]
        if found is None:
            raise NoAnswer("it is gone" if self.is_closed else "not known yet")
        return found

    def _note(self, frame: Frame) -> None:
        if not frame.is_answer:
            task = asyncio.create_task(self._answer(frame))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif (waiting := self._waiting.get(frame.number)) is not None and not waiting.done():
            waiting.set_result(frame.body)

    async def _answer(self, asked: Frame) -> None:
        answering = self._answers.get(asked.what)
        try:
            body = None if answering is None else await answering(asked.body or b"")
        except Exception:
            log.exception("a question of another process failed", asked=asked.what)
            body = None
        if not self.is_closed:
            self._send(Frame(asked.number, True, asked.what, body))

    def _send(self, frame: Frame) -> None:
        if self.is_closed:
            raise NoAnswer("it is gone")
        body = _encode(frame)
        self._writer.write(len(body).to_bytes(LENGTH_BYTES) + body)
