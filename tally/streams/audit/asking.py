"""Asking the read API of one worker, as an audit does: whatever is no answer of a worker is an error."""

from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from tally.agents.audit.answers import Answer, CampaignAnswer, OperatorsAnswer, Scope, together

DEADLINE_SECONDS = 10.0
ANSWERED = (200, 404)
"""A campaign of which nothing is counted is not found; the answer has a receipt all the same."""

Wanted = TypeVar("Wanted", bound=Answer)


class NoAnswer(Exception):
    """The worker that the audit was given does not answer, or not as a worker of this generation does."""


class Asking:
    """The read API of one worker. Raises NoAnswer where the address can be none."""

    def __init__(self, url: str, generation: int) -> None:
        self._url = address(url)
        self._generation = generation

    async def __aenter__(self) -> "Asking":
        timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, scope: Scope) -> Answer:
        """Return what the worker says of a campaign, or of a tenant's operators. Raises NoAnswer."""
        tenant, campaign = scope
        if not campaign:
            return await self._operators(f"/v1/tenants/{_part(tenant)}/operators")
        return await self._get(f"/v1/tenants/{_part(tenant)}/campaigns/{_part(campaign)}", CampaignAnswer)

    async def _operators(self, path: str) -> OperatorsAnswer:
        pages = [await self._get(path, OperatorsAnswer)]
        while cursor := pages[-1].next_cursor:
            pages.append(await self._get(f"{path}?cursor={quote(cursor, safe='')}", OperatorsAnswer))
        return together(pages)

    async def _get(self, path: str, wanted: type[Wanted]) -> Wanted:
        try:
            answer = msgspec.json.decode(await self._body(path), type=wanted)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
            # Without the address, which may hold a password.
            raise NoAnswer(f"the view does not answer {path}: {type(error).__name__}: {error}") from None
        if answer.receipt.generation != self._generation:
            raise NoAnswer(f"the view is of generation {answer.receipt.generation}, not {self._generation}")
        return answer

    async def _body(self, path: str) -> Any:
        # As it is: a client would resolve a path of dots, and an id may be one.
        url = URL(self._url + path, encoded=True)
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status not in ANSWERED:
                raise NoAnswer(f"the view answers {path} with HTTP status {response.status}")
            return await response.read()


def address(url: str) -> str:
    """Return a worker's address as paths are added to it. Raises NoAnswer: it can be none."""
    try:
        is_one = URL(url).scheme in ("http", "https") and bool(URL(url).host)
    except ValueError:
        is_one = False
    if not is_one:
        raise NoAnswer("the view must be given as the address of a worker, such as http://127.0.0.1:6066")
    return url.rstrip("/")


def _part(text: str) -> str:
    """Return a part of a path."""
    return quote(text, safe="").replace(".", "%2E")
