"""Hostile requests to view and gateway: each is answered as HTTP says, in bounded memory.

Bare sockets send them: no client would. Time-outs of connections: test_web_connections.py.
"""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from structlog.testing import capture_logs

from tally.schemas.bounds import MIB
from tally.streams.keys.keyring import Keyring
from tally.streams.web.serving import LINGER_SECONDS
from tests.integration.test_doors import gateway
from tests.support.keys import KEY, PRESENTED
from tests.support.web_api import serving

pytestmark = pytest.mark.asyncio

ANSWERED_SECONDS = 10.0
MOST_MEMORY_BYTES = 24 * MIB
"""What a request may cost; each is up to some megabytes, and nothing of it is kept."""
KEPT = b"Authorization: Bearer " + PRESENTED.text.encode() + b"\r\n"
SERVERS = ("view", "gateway")
TARGETS = {"view": b"/v1/tenants/t1/campaigns", "gateway": b"/v1/tenants/t1/send-results"}
METHODS = {"view": b"GET", "gateway": b"POST"}
BOMB = gzip.compress(b"[" + b" " * (64 * MIB) + b"]")
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Case(NamedTuple):
    """What follows the first headers of a request, and the statuses of the view and the gateway."""

    rest: bytes
    view: int = 400
    gateway: int = 400


def sized(body: bytes, *headers: bytes) -> bytes:
    return b"".join((*headers, b"Content-Length: %d\r\n\r\n" % len(body), body))


CASES = {
    "length and chunks": Case(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "chunks and length": Case(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "two encodings": Case(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    "an unknown encoding": Case(b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "a blank before the colon": Case(b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "two lengths": Case(b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]" + SMUGGLED),
    "a negative length": Case(b"Content-Length: -1\r\n\r\n"),
    "a length with a sign": Case(b"Content-Length: +2\r\n\r\n[]"),
    "a bare LF": Case(b"X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "a bare CR": Case(b"X: a\rTransfer-Encoding: chunked\r\n\r\n"),
    "a folded header": Case(b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n"),
    "a NUL": Case(b"X: a\0b\r\n\r\n"),
    "a bare LF in a chunk": Case(b"Transfer-Encoding: chunked\r\n\r\n2;\n[]\r\n0\r\n\r\n" + SMUGGLED),
    "a chunk of a prefixed size": Case(
        b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n[]\r\n0\r\n\r\n" + SMUGGLED
    ),
    "a chunk of 2**68 bytes": Case(b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"),
    "two hosts": Case(b"Host: evil.example\r\n\r\n"),
    "100,000 headers": Case(b"".join(b"x%d: y\r\n" % number for number in range(100_000)) + b"\r\n"),
    "a header of a megabyte": Case(b"X: " + b"y" * MIB + b"\r\n\r\n"),
    # The view reads no body: what follows the head is dropped, and is no request.
    "an expectation that there is not": Case(sized(b"[]", b"Expect: evil\r\n"), 200, 422),
    "an expectation that is no text": Case(sized(b"[]", b"Expect: evil\xff\r\n"), 200, 422),
    "a cookie that is no text": Case(sized(b"[]", b"Cookie: tally_session=\xe9.a.b\r\n"), 200, 422),
    "JSON 2,000,000 deep": Case(sized(b"[" * 2_000_000), 200, 422),
    "objects 300,000 deep": Case(sized(b'[{"tenant":' * 300_000), 200, 422),
    "a gzip bomb": Case(sized(BOMB, b"Content-Encoding: gzip\r\n"), 200, 415),
    "a gzip bomb behind another encoding": Case(
        sized(BOMB, b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"), 200, 415
    ),
    "a body that is announced as 4 GiB": Case(b"Content-Length: 4294967296\r\n\r\n[", 200, 413),
    "a chunk that is announced as 4 GiB": Case(
        b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n" + b"[" * 5 * MIB, 200, 413
    ),
}


@asynccontextmanager
async def opened(server: str) -> AsyncIterator[int]:
    """Open a view or a gateway that knows the key of tests; yield its port."""
    if server == "view":
        async with serving(debug=False) as api:
            yield api.port
        return
    keyring = Keyring()
    keyring.put(PRESENTED.key_id, KEY)
    keyring.known()
    async with gateway(keyring) as door:
        yield door.port


def head(server: str, *, closing: bool = True) -> bytes:
    lines = [METHODS[server] + b" " + TARGETS[server] + b" HTTP/1.1", b"Host: localhost"]
    lines += [b"Connection: close"] if closing else []
    lines += [b"Content-Type: application/json"] if server == "gateway" else []
    return b"\r\n".join(lines) + b"\r\n" + KEPT


async def answered(port: int, request: bytes) -> bytes:
    """Send bytes, and return all that is answered until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4 * MIB)

    async def send() -> None:
        writer.write(request)
        await writer.drain()

    sending = asyncio.create_task(send())
    try:
        return await received(reader)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()


async def received(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes until the server closes. Raises ConnectionError if it says nothing."""
    found = bytearray()
    try:
        async with asyncio.timeout(ANSWERED_SECONDS):
            while data := await reader.read(MIB):
                found += data
    except ConnectionError:
        if not found:
            raise
        # It had answered, and did not read the rest.
    return bytes(found)


def memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


@pytest.mark.parametrize("server", SERVERS)
async def test_a_hostile_request_is_answered_once_in_bounded_memory(server: str) -> None:
    async with opened(server) as port:
        for name, case in CASES.items():
            before = memory_bytes()
            answer = await answered(port, head(server) + case.rest)
            assert statuses(answer) == [getattr(case, server)], (name, answer[:300])
            assert memory_bytes() - before < MOST_MEMORY_BYTES, name
            _, _, body = answer.partition(b"\r\n\r\n")
            if getattr(case, server) != 200:
                error = orjson.loads(body)["error"]
                assert set(error) == {"code", "message"}, name
            assert KEPT.strip() not in answer, name
            assert b"evil" not in answer, f"{name}: what came is not repeated"
        assert statuses(await answered(port, head(server) + sized(b"[]"))) in ([200], [422]), "it serves on"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("header", [b"Expect: evil", b"Expect: \xff", b"Cookie: tally_session=\xe9.a.b"])
async def test_without_a_key_no_header_gets_another_answer(server: str, header: bytes) -> None:
    async with opened(server) as port:
        request = head(server).replace(KEPT, b"") + sized(b"[]", header + b"\r\n")
        assert statuses(await answered(port, request)) == [401]


@pytest.mark.parametrize("server", SERVERS)
async def test_who_waits_for_it_is_told_to_send_a_body(server: str) -> None:
    async with opened(server) as port:
        answer = await answered(port, head(server) + sized(b"[]", b"Expect: 100-Continue\r\n"))
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 "), answer[:100]


@pytest.mark.parametrize("server", SERVERS)
async def test_a_request_line_that_ends_in_a_bare_lf_is_refused(server: str) -> None:
    async with opened(server) as port:
        answer = await answered(port, head(server).replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n[]")
        assert statuses(answer) == [400]
        assert PRESENTED.secret.encode() not in answer
        long = METHODS[server] + b" " + TARGETS[server] + b"?" + b"x" * MIB + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        assert statuses(await answered(port, long)) == [400]


@pytest.mark.parametrize("server", SERVERS)
async def test_a_body_that_nobody_reads_holds_no_connection(server: str) -> None:
    """Refused, or answered without it: the rest is dropped for a moment, then the connection ends."""
    async with opened(server) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(server, closing=False) + b"Content-Length: 1000000000\r\n\r\n")
        began_s = asyncio.get_running_loop().time()

        async def drip() -> None:
            while True:
                writer.write(b"[")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        try:
            answer = await received(reader)
        finally:
            dripping.cancel()
            writer.transport.abort()
        assert asyncio.get_running_loop().time() - began_s < LINGER_SECONDS + 3
        assert statuses(answer) == [200 if server == "view" else 413]


@pytest.mark.parametrize("begin", [b"POST /webhooks/shop", b"POST /v1/tenants/t1/send-results"])
@pytest.mark.parametrize("rest", [b"zz\r\n", b"2 \n", b"0\r\na b c\r\n\r\n", b"2\r\n[]]]\r\n"])
async def test_a_body_that_goes_on_as_no_http_is_400_at_once(begin: bytes, rest: bytes) -> None:
    """As where it comes with the head; what had come of it counts for nothing, and nothing follows."""
    async with opened("gateway") as port:
        lines = (begin + b" HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", b"")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\r\n".join(lines) + KEPT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n")
        await asyncio.sleep(0.05)  # or it comes with the head, and is answered alike
        writer.write(rest)
        began_s = asyncio.get_running_loop().time()
        assert statuses(await received(reader)) == [400]
        assert asyncio.get_running_loop().time() - began_s < LINGER_SECONDS
        writer.transport.abort()


@pytest.mark.parametrize("how", ["abort", "half"])
@pytest.mark.parametrize("server", SERVERS)
async def test_who_goes_away_before_a_body_is_whole_is_no_failure_of_the_server(
    server: str, how: str
) -> None:
    target = b"POST /v1/session" if server == "view" else b"POST /webhooks/shop"
    lines = (target + b" HTTP/1.1", b"Host: localhost", b"Origin: http://localhost")
    begin = b"\r\n".join(lines) + b"\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[1"
    async with opened(server) as port:
        with capture_logs() as said:
            for _ in range(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(begin)
                await asyncio.sleep(0.02)
                if how == "abort":
                    writer.transport.abort()
                else:
                    writer.write_eof()
                    await received(reader)
                    writer.transport.abort()
            await asyncio.sleep(0.1)
            assert statuses(await answered(port, head(server) + sized(b"[]"))) in ([200], [422])
    assert [one for one in said if one["log_level"] in ("error", "critical")] == []


@pytest.mark.parametrize("server", SERVERS)
async def test_requests_that_come_at_once_are_answered_in_order_each_with_its_own_key(server: str) -> None:
    """Pipelined: nothing of one request is taken for a part of another."""
    body = b"\r\n" if server == "view" else sized(b"[]")
    first, second = head(server, closing=False) + body, head(server).replace(KEPT, b"") + body
    async with opened(server) as port:
        found = statuses(await answered(port, first + second))
        assert found == [200 if server == "view" else 422, 401]
