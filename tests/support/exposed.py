"""What a process exposes to Prometheus."""

import asyncio
from collections.abc import Callable

from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

Readings = dict[tuple[str, str], float]


async def until_measured(port: int, is_so: Callable[[Readings], bool], seconds: float = 90.0) -> Readings:
    """Read a process' metrics until they are as wanted."""
    async with asyncio.timeout(seconds), ClientSession() as client:
        while True:
            try:
                async with client.get(f"http://127.0.0.1:{port}/metrics") as response:
                    readings = read(await response.text())
                if is_so(readings):
                    return readings
            except OSError:
                pass
            await asyncio.sleep(0.2)


def read(text: str) -> Readings:
    """Return metrics by name and, where there is one, source."""
    return {
        (sample.name, sample.labels.get("source", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
