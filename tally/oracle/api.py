"""A client of a worker's HTTP interface, as a dashboard uses it."""

import asyncio
from collections import defaultdict
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tally.schemas.fields import unix_ms

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.1
PAGE = 500
REFUSED = frozenset({401, 403, 404})


class NotYet(Exception):
    """The worker did not reach the wanted state in time."""


class Answers:
    """A client of one worker's read API, with a key, and of its metrics and health."""

    def __init__(
        self, url: str, metrics_url: str, key: str, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self.url = url
        self._metrics_url = metrics_url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._deadline_seconds = deadline_seconds

    async def __aenter__(self) -> "Answers":
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._deadline_seconds), headers=self._headers
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str) -> Any:
        """Return a JSON answer. Raises aiohttp.ClientError."""
        async with self._session.get(self.url + path) as response:
            response.raise_for_status()
            return await response.json()

    async def ask(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON of an answer, also of a refusal. Raises aiohttp.ClientError."""
        async with self._session.get(self.url + path) as response:
            return response.status, await response.json()

    async def lives(self) -> None:
        """Ask whether the worker lives. Raises aiohttp.ClientError."""
        async with self._session.get(self._metrics_url + "/health/live") as response:
            response.raise_for_status()

    async def campaigns(self, tenant: str) -> list[dict[str, Any]]:
        """Return all campaigns of a tenant with their totals."""
        return await self._pages(f"/v1/tenants/{tenant}/campaigns", "campaigns")

    async def operators(self, tenant: str) -> list[dict[str, Any]]:
        """Return all operators of a tenant."""
        return await self._pages(f"/v1/tenants/{tenant}/operators", "operators")

    async def _pages(self, path: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.get(f"{path}?limit={PAGE}{cursor}")
            found += page[name]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def wait_until_ready(self, deadline_seconds: float) -> float:
        """Wait until the worker has recovered and caught up; return the seconds it took. Raises NotYet."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < deadline_seconds:
            try:
                async with self._session.get(self._metrics_url + "/health/ready") as response:
                    response.raise_for_status()
                return loop.time() - began
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(POLL_SECONDS)
        raise NotYet(f"the worker is not ready after {deadline_seconds:g} s")

    async def wait_until_counted(self, before_ms: float, deadline_seconds: float) -> float:
        """Wait until the answers hold all that was published before a moment; return the seconds it took.

        Raises NotYet.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < deadline_seconds:
            if await self.reached_ms() > before_ms:
                return loop.time() - began
            await asyncio.sleep(POLL_SECONDS)
        raise NotYet(f"not everything is counted after {deadline_seconds:g} s")

    async def live_as_of_ms(self) -> float:
        """Return `as_of` of a live answer in unix ms; 0 if it is not live. Raises aiohttp.ClientError."""
        receipt = await self._receipt()
        return _unix_ms(receipt["as_of"]) if receipt["state"] == "live" else 0.0

    async def reached_ms(self) -> float:
        """Return the moment, in unix ms, before which everything is counted except what is lost.

        It is 0 while the worker is catching up, or does not answer. Raises aiohttp.ClientResponseError where
        it refuses to: no wait ends that.
        """
        try:
            receipt = await self._receipt()
        except aiohttp.ClientResponseError as error:
            if error.status in REFUSED:
                raise
            return 0.0
        except (aiohttp.ClientError, TimeoutError):
            return 0.0
        return 0.0 if receipt["state"] == "catching_up" else _unix_ms(receipt["as_of"])

    async def _receipt(self) -> dict[str, Any]:
        page = await self.get("/v1/tenants/-/campaigns?limit=1")
        receipt: dict[str, Any] = page["receipt"]
        return receipt

    async def event_to_view(self) -> dict[float, float]:
        """Return the cumulative histogram of seconds from raw event to view, as counts by upper bound.

        It is that of all processes of the worker together.
        """
        async with self._session.get(self._metrics_url + "/metrics") as response:
            families = text_string_to_metric_families(await response.text())
        counts: defaultdict[float, float] = defaultdict(float)
        for family in families:
            for sample in family.samples:
                if sample.name == "tally_event_to_view_seconds_bucket":
                    counts[float(sample.labels["le"])] += sample.value
        return dict(counts)


def _unix_ms(rfc_3339: str | None) -> float:
    return float(unix_ms(rfc_3339, "as_of")) if rfc_3339 else 0.0


def quantile(before: dict[float, float], after: dict[float, float], wanted: float) -> float:
    """Return a quantile of a histogram's growth between two readings, as Prometheus computes it. Pure."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    rank = wanted * max(counts.values(), default=0.0)
    below, lower = 0.0, 0.0
    for bound, count in counts.items():
        if count >= rank > 0:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        below, lower = count, bound
    return 0.0
