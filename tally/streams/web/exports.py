"""The read API: the lines behind a number as a file, CSV or NDJSON, for keys that may see people.

A file that ends well is whole. Where anything fails once it has begun, the connection is reset: a client, and
a proxy between, then knows that the end is missing.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
import orjson
import structlog
from aiohttp import web
from faust.web import View

from tally.agents.view.answer import rfc_3339
from tally.agents.view.exports import MOST, Export, Exports
from tally.streams.keys.access import Needed
from tally.streams.web.admission import IS_LET_IN, KEY_ID
from tally.streams.web.connections import READ_SECONDS
from tally.streams.web.endpoints import Endpoint
from tally.streams.web.lines import COUNTER, FILTERS, check_held, read_lines
from tally.streams.web.parameters import Parameter, read_id, single
from tally.streams.web.responses import error_response
from tally.tables.postgres.failures import PostgresFailure
from tally.tables.postgres.line_exports import CSV, NDJSON, Form

TRAILER = Parameter(
    "trailer",
    Literal["1"],
    "a last line that says how many lines there are, and the SHA-256 of all before it",
)
RETRY_AFTER_SECONDS = "10"
ASK_SECONDS = 1.0
"""How often it is asked whether the key still opens this."""
EXPORTS = web.AppKey("exports", Exports)
# What is left of a connection then goes with it, and the other side reads an error, not an end.
_RESET = struct.pack("ii", 1, 0)

log = structlog.get_logger()


class Cut(Exception):
    """An export ends before its file does; the message says why."""


class _ExportView(View):
    form: Form

    async def get(self, request: web.Request, tenant: str, campaign: str) -> web.StreamResponse:
        """Answer with all lines of a number, one moment of Postgres; with 429 while too many others are."""
        tenant, campaign = read_id("tenant", tenant), read_id("campaign", campaign)
        query = {name: request.query.getall(name) for name in request.query}
        chosen = read_lines(tenant, campaign, query, single(query, COUNTER.name) or "")
        exports = request.app[EXPORTS]
        if exports.is_full:
            return _full()
        file = File(request, self.form, has_trailer=TRAILER.name in query)
        try:
            async with exports.open(chosen) as export:
                await file.begin(export)
                lines = 0 if request.method == "HEAD" else await export.copy(self.form, file.write)
            await file.end(lines)
        except BaseException as error:
            if not file.response.prepared:
                raise
            file.cut()
            reason = str(error) if isinstance(error, Cut | PostgresFailure) else type(error).__name__
            log.warning("an export was cut off", key_id=request.get(KEY_ID, ""), reason=reason)
            if not isinstance(error, Cut | PostgresFailure):
                raise
        else:
            log.info("lines exported", key_id=request.get(KEY_ID, ""), lines=lines, form=self.form.name)
        return file.response


class CsvView(_ExportView):
    """The lines behind a number, for spreadsheets."""

    form = CSV


class NdjsonView(_ExportView):
    """The lines behind a number, for programs."""

    form = NDJSON


class File:
    """A file on its way to a client."""

    def __init__(self, request: web.Request, form: Form, *, has_trailer: bool) -> None:
        self._request = request
        self._form = form
        self._digest = sha256() if has_trailer else None
        self._asked_s = time.monotonic()
        self.response = web.StreamResponse()

    async def begin(self, export: Export) -> None:
        """Send the head. Raises NotTold for a number that nobody is behind, and Cut."""
        check_held(export.number, [one for one in export.first if one["subject"] is not None])
        self.response.headers.update(headers_of(export, self._form))
        with _cut_by_client():
            await self.response.prepare(self._request)

    async def write(self, some: bytes) -> None:
        """Send a piece, and wait until the client has read most of what was sent. Raises Cut."""
        now_s = time.monotonic()
        if now_s - self._asked_s > ASK_SECONDS:
            self._asked_s = now_s
            if not self._request[IS_LET_IN]():
                raise Cut("the key opens it no more")
        if self._digest is not None:
            self._digest.update(some)
        with _cut_by_client():
            await self.response.write(some)

    async def end(self, lines: int) -> None:
        """Send the last line, if one was asked for, and the end. Raises Cut."""
        with _cut_by_client():
            async with asyncio.timeout(READ_SECONDS):
                if self._digest is not None and self._request.method != "HEAD":
                    await self.response.write(trailer(self._form, lines, self._digest.hexdigest()))
                await self.response.write_eof()

    def cut(self) -> None:
        """Reset the connection."""
        transport = self._request.transport
        if transport is None:
            return
        peer: Any = transport.get_extra_info("socket")
        with suppress(OSError):  # it is closed already
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


@contextmanager
def _cut_by_client() -> Iterator[None]:
    """Name what the body raises where the client is gone or reads nothing: it is no failure of Postgres."""
    try:
        yield
    except (OSError, aiohttp.ClientError):
        raise Cut("the client is gone, or reads nothing") from None


def headers_of(export: Export, form: Form) -> dict[str, str]:
    """Return the head of a file: its name, and the number and the moment that its lines are of. Pure."""
    receipt = export.receipt
    name = quote(f"{export.chosen.campaign} {export.chosen.counter}.{form.name}", safe="")
    return {
        "Content-Type": f"{form.media_type}; charset=utf-8",
        "Content-Disposition": f"attachment; filename=\"lines.{form.name}\"; filename*=UTF-8''{name}",
        "Cache-Control": "no-store, no-transform",
        "Tally-Number": str(export.number),
        "Tally-As-Of": "" if receipt.as_of_ms is None else rfc_3339(receipt.as_of_ms),
        "Tally-State": receipt.state,
    }


def trailer(form: Form, lines: int, digest: str) -> bytes:
    """Return the last line of a file. Pure."""
    if form is NDJSON:
        return orjson.dumps({"lines": lines, "sha256": digest}) + b"\n"
    return f"# lines={lines} sha256={digest}\n".encode()


def _full() -> web.Response:
    response = error_response(429, "too_many_exports", f"{MOST} exports run here, and no more may at once")
    response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def _endpoint(view: type[_ExportView], says: str) -> Endpoint:
    form = view.form
    return Endpoint(
        f"campaign_lines_{form.name}",
        f"/v1/tenants/{{tenant}}/campaigns/{{campaign}}/lines.{form.name}",
        view,
        says,
        None,
        (*FILTERS, TRAILER),
        needed=Needed("recipients"),
        also=(422,),
        media_type=form.media_type,
    )


ROUTES = (
    _endpoint(CsvView, "all lines behind a number as CSV, of one moment of Postgres"),
    _endpoint(NdjsonView, "the same as NDJSON: a line of the list in each line"),
)
