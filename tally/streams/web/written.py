"""Answers as aiohttp writes them, made once: only their date and the request's id differ."""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from tally.streams.web.journal import REQUEST_ID
from tally.streams.web.packing import VARY
from tally.streams.web.responses import SECURITY_HEADERS, SERVER


class Written:
    """An answer as aiohttp would write it, but for the date and the request's id."""

    def __init__(self, response: web.Response) -> None:
        body = response.body
        assert body is None or isinstance(body, bytes)  # noqa: S101 - ours are
        self._body = body or b""
        headers = {**response.headers, "Vary": VARY, "Content-Length": str(len(self._body))}
        self._before = f"HTTP/1.1 {response.status} {response.reason}\r\n{_lines(headers)}Date: "
        self._after = f"\r\n{_lines({'Server': SERVER, **SECURITY_HEADERS})}{REQUEST_ID}: "

    def to(self, request_id: str) -> bytes:
        """Return the answer to the request with this id."""
        head = f"{self._before}{rfc822_formatted_time()}{self._after}{request_id}\r\n\r\n"
        return head.encode() + self._body


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
