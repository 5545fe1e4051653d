"""A client of the read API with little overhead: persistent connection, prepared requests, blocking reads."""

import re
import socket
from types import TracebackType
from urllib.parse import urlsplit

from msgspec import Struct

DEADLINE_SECONDS = 10.0
READ_BYTES = 1 << 16
END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
TAG = re.compile(rb"\r\netag: *([^\r]+)", re.IGNORECASE)


class Answer(Struct, frozen=True):
    """One answer; `tag` is the unparsed ETag."""

    status: int
    tag: bytes
    body: bytes


class KeptConnection:
    """Requests one path on a persistent connection; it blocks, to keep an event loop out of the figures."""

    def __init__(self, url: str, path: str, key: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), DEADLINE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
        ).encode()

    def __enter__(self) -> "KeptConnection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def get(self, tag: bytes = b"") -> Answer:
        """Ask once, with If-None-Match where a tag is given. Raises OSError."""
        condition = b"If-None-Match: " + tag + b"\r\n" if tag else b""
        self._socket.sendall(self._request + condition + b"\r\n")
        head, body = self._head()
        length = LENGTH.search(head)
        wanted = int(length[1]) if length else 0
        status = int(head[9:12])
        while status != 304 and len(body) < wanted:
            body += self._received()
        found = TAG.search(head)
        return Answer(status, found[1] if found else b"", body)

    def _head(self) -> tuple[bytes, bytes]:
        read = b""
        while END not in read:
            read += self._received()
        head, _, body = read.partition(END)
        return head, body

    def _received(self) -> bytes:
        read = self._socket.recv(READ_BYTES)
        if not read:
            raise ConnectionError("the server closed the connection")
        return read
