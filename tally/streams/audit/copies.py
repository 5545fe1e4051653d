"""Copies of a deployment's partitions, made from their changelogs in a folder that goes away."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tally.schemas.topics import COUNTERS
from tally.streams.settings import Settings
from tally.tables.families.registry import TABLES
from tally.tables.store.local import LocalStore
from tally.tables.store.recovery import Changelogs

COPY_SECONDS = 3600.0
"""As long as a partition of very many states may take."""


class Copies:
    """One local copy of each partition, brought up to date when asked."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._open: dict[int, LocalStore] = {}

    def store(self, name: str, partition: int) -> LocalStore:
        """Return an empty store of this name beside the copies, or the one that was made before."""
        return LocalStore(self._folder / f"{name}-{partition}")

    async def refreshed(self, partition: int) -> LocalStore:
        """Return the copy of a partition, brought up to the ends of its changelogs."""
        local = self._open.get(partition) or self._open.setdefault(partition, self.store("copy", partition))
        names = self._settings.names
        topics = {table: names.changelog(table) for table in TABLES}
        reading = Changelogs(self._settings.kafka_client(), topics, partition)
        async with asyncio.timeout(COPY_SECONDS), reading as changelogs:
            ranges = await changelogs.ranges()
            newest = await changelogs.newest(ranges[COUNTERS])
            if newest is not None:  # else nothing was ever counted
                await changelogs.replay(local, ranges, newest.store_id)
        return local

    def close(self) -> None:
        """Close all copies."""
        for local in self._open.values():
            local.close()


@contextmanager
def copies(settings: Settings) -> Iterator[Copies]:
    """Keep copies in a folder of their own while they are needed."""
    with tempfile.TemporaryDirectory(prefix="tally-audit-") as folder:
        kept = Copies(settings, Path(folder))
        try:
            yield kept
        finally:
            kept.close()
