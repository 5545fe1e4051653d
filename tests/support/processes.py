"""The processes of a worker that has several, as the kernel shows them."""

import asyncio
from contextlib import suppress
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, tuple[tuple[str, str], ...]]
SCRAPE_SECONDS = 3.0


def children(parent: int, module: str = "tally.streams.worker") -> dict[str, int]:
    """Return the process id of each child that runs a module, by its roles."""
    found = {}
    for there in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if int((there / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                argv = (there / "cmdline").read_text().split("\0")
                found[argv[argv.index(module) + 1]] = int(there.name)
    return found


def has_ended(pid: int) -> bool:
    """Whether a process has ended; who adopts the children of a killed parent may note it later."""
    try:
        return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) == "Z"
    except OSError:
        return True


class Scraper:
    """Scrapes a worker all the time; a counter that falls is a failure."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._last: dict[Series, float] = {}
        self.fallen: list[str] = []
        self.slowest_s = 0.0
        self.pages: list[set[Series]] = []
        """The series of each page."""

    async def run(self, pause_seconds: float = 0.05) -> None:
        """Scrape until the port is closed."""
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SCRAPE_SECONDS)) as http:
            while True:
                began_s = loop.time()
                try:
                    async with http.get(self._url + "/metrics") as response:
                        response.raise_for_status()
                        self._note(await response.text())
                except aiohttp.ClientConnectionError:
                    return
                self.slowest_s = max(self.slowest_s, loop.time() - began_s)
                await asyncio.sleep(pause_seconds)

    def of(self, process: str, name: str) -> list[bool]:
        """Return of each page whether it shows a metric of a process."""
        return [
            any(one == name and ("process", process) in labels for one, labels in page) for page in self.pages
        ]

    def _note(self, text: str) -> None:
        page: dict[Series, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series = (sample.name, tuple(sorted(sample.labels.items())))
                assert series not in page, f"twice: {series}"
                page[series] = sample.value
                if family.type in ("counter", "histogram") and sample.value < self._last.get(series, 0.0):
                    self.fallen.append(f"{series}: {self._last[series]} to {sample.value}")
        missing = [one for one in self._last if one not in page and one[0].endswith(("_total", "_bucket"))]
        self.fallen += [f"{series}: gone" for series in missing]
        self._last = page
        self.pages.append(set(page))
