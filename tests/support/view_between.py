"""A proxy between an audit and a worker that can change the worker's answers."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

Change = Callable[[dict[str, Any]], None]


class Between:
    """A proxy that returns the worker's answers, with JSON answers changed by `change`."""

    def __init__(self, worker_url: str) -> None:
        self._worker_url = worker_url
        self.change: Change = lambda _: None
        self.is_broken = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        if self.is_broken:
            raise web.HTTPServiceUnavailable
        asked = URL(self._worker_url + request.raw_path, encoded=True)
        async with (
            ClientSession() as client,
            client.get(asked, headers={"Authorization": request.headers["Authorization"]}) as response,
        ):
            body = await response.json()
            self.change(body)
            return web.Response(status=response.status, body=json.dumps(body))


@asynccontextmanager
async def between(worker_url: str) -> AsyncIterator[Between]:
    made = Between(worker_url)
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    async with TestServer(app) as server:
        made.url = str(server.make_url("")).rstrip("/")
        yield made
