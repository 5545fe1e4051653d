"""A sender of webhooks that costs little, as a process of its own: `python -m bench.gateway_sender`.

It writes requests over connections that stay open, and reads no more of an answer than status and length:
a client library would take longer than the server that it measures.
"""

import argparse
import asyncio
import hmac
import json
import re
import sys
import time
from collections import Counter, deque
from hashlib import sha256

from msgspec import Struct

from bench.figures import percentile
from tests.support.webhooks import body, messages, status

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"
DRAIN_SECONDS = 10.0


class Sent(Struct, frozen=True):
    """What became of the requests of one round."""

    statuses: dict[int, int]
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers of 200 a second."""
        return self.statuses.get(200, 0) / self.seconds


def webhook(number: int) -> bytes:
    """Return a body with one status, as Meta writes it."""
    return body(
        messages(
            contacts=[{"wa_id": "16505551234", "user_id": "US.13491208655302741918"}],
            statuses=[
                status(
                    id=f"wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI{number:018d}",
                    status="delivered",
                    recipient_user_id="US.13491208655302741918",
                    pricing={
                        "billable": True,
                        "pricing_model": "PMP",
                        "category": "marketing",
                        "type": "regular",
                    },
                )
            ],
        )
    )


class Requests:
    """Requests to one server, each with a body of its own and its signature."""

    def __init__(self, host: str, path: str, secret: bytes, first: int) -> None:
        self._head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n".encode()
        self._secret = secret
        self._number = first
        # Only the number differs, so that making a body costs no more than a copy.
        self._before, _, self._after = webhook(0).partition(b"0" * 18)

    def next(self) -> bytes:
        """Return the bytes of the next request."""
        self._number += 1
        value = b"%b%018d%b" % (self._before, self._number, self._after)
        signature = hmac.digest(self._secret, value, sha256).hex().encode()
        return b"%bX-Hub-Signature-256: sha256=%b\r\nContent-Length: %d\r\n\r\n%b" % (
            self._head,
            signature,
            len(value),
            value,
        )


class Connection(asyncio.Protocol):
    """One connection, with one request under way at most."""

    def __init__(self, sender: "Sender") -> None:
        self._sender = sender
        self._received = b""
        self._transport: asyncio.Transport
        self._since_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sender.free(self)

    def send(self, request: bytes, since_s: float) -> None:
        """Send a request; its time counts from the moment at which it was due."""
        self._since_s = since_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Note the answer once it is there whole."""
        self._received += data
        head_bytes = self._received.find(HEAD_END)
        if head_bytes < 0:
            return
        length = LENGTH.search(self._received, 0, head_bytes + 2)
        if len(self._received) < head_bytes + len(HEAD_END) + (int(length[1]) if length else 0):
            return
        answered = int(self._received[9:12])
        self._received = b""
        self._sender.answered(answered, time.perf_counter() - self._since_s)
        self._sender.free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Count a connection that ends before its answer."""
        self._sender.answered(0, 0.0)


class Sender:
    """Sends as fast as answers come, or at a rate whatever the answers do."""

    def __init__(self, requests: Requests, per_second: float | None) -> None:
        self._requests = requests
        self._per_second = per_second
        self._free: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._is_sending = True
        self.statuses: Counter[int] = Counter()
        self.delays_s: list[float] = []

    def free(self, connection: Connection) -> None:
        """Let a connection take the next request."""
        if self._per_second is None:
            if self._is_sending:
                connection.send(self._requests.next(), time.perf_counter())
        elif self._due:
            connection.send(self._requests.next(), self._due.popleft())
        else:
            self._free.append(connection)

    def answered(self, code: int, seconds: float) -> None:
        """Note an answer."""
        self.statuses[code] += 1
        self.delays_s.append(seconds)

    async def run(self, seconds: float) -> None:
        """Send for so long; at a rate wait for the last answers too, since late ones count."""
        if self._per_second is None:
            await asyncio.sleep(seconds)
            self._is_sending = False
            return
        began_s, sent = time.perf_counter(), 0
        while (now_s := time.perf_counter()) < began_s + seconds:
            while sent / self._per_second <= now_s - began_s:
                due_s = began_s + sent / self._per_second
                sent += 1
                if self._free:
                    self._free.popleft().send(self._requests.next(), due_s)
                else:
                    self._due.append(due_s)
            await asyncio.sleep(0.001)
        async with asyncio.timeout(DRAIN_SECONDS):
            while sum(self.statuses.values()) < sent:
                await asyncio.sleep(0.005)


async def sent(
    port: int,
    path: str,
    secret: bytes,
    first: int,
    connections: int,
    seconds: float,
    per_second: float | None,
) -> Sent:
    """Run one round against a server on this machine. Raises TimeoutError where answers do not come."""
    sender = Sender(Requests(f"127.0.0.1:{port}", path, secret, first), per_second)
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Connection(sender), "127.0.0.1", port)
        for _ in range(connections)
    ]
    began_s = time.perf_counter()
    await sender.run(seconds)
    # Before connections are closed, which would count as answers that did not come.
    found, took_s = Counter(sender.statuses), time.perf_counter() - began_s
    delays_ms = [1000 * one for one in sender.delays_s]
    for transport, _ in opened:
        transport.close()
    return Sent(dict(found), took_s, percentile(delays_ms, 0.5), percentile(delays_ms, 0.99))


def main() -> None:
    """Run one round, and print what came of it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_sender", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--secret", required=True)
    parser.add_argument("--first", type=int, default=0, help="the number of the first body")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rate", type=float, help="requests a second; without, as fast as answers come")
    asked = parser.parse_args()
    found = asyncio.run(
        sent(
            asked.port,
            asked.path,
            asked.secret.encode(),
            asked.first,
            asked.connections,
            asked.seconds,
            asked.rate,
        )
    )
    sys.stdout.write(
        json.dumps(
            {"statuses": found.statuses, "seconds": found.seconds}
            | {"p50_ms": found.p50_ms, "p99_ms": found.p99_ms}
        )
    )


if __name__ == "__main__":
    main()
