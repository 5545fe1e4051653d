"""The client of the read API, as the judge of a test uses it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tally.oracle.api import Answers


@asynccontextmanager
async def answering(status: int) -> AsyncIterator[Answers]:
    """Yield a client of a server that answers everything with one status."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({}, status=status)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        async with Answers(url, url, "key") as answers:
            yield answers


async def reached_ms(status: int) -> float:
    async with answering(status) as answers:
        return await answers.reached_ms()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_a_wait_at_once(status: int) -> None:
    with pytest.raises(aiohttp.ClientResponseError) as raised:
        asyncio.run(reached_ms(status))
    assert raised.value.status == status


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_not_reached_yet(status: int) -> None:
    assert asyncio.run(reached_ms(status)) == 0
