"""Local copies of a deployment's partitions, built from their changelogs in a temporary folder."""

import asyncio
import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tally.schemas.topics import CHANGELOGS
from tally.streams.settings import Settings
from tally.tables.store.local import LocalStore
from tally.tables.store.recovery import Changelogs, Range, last_whole

PREFIX = "tally-audit-"
LOCK = "lock"
YOUNG_SECONDS = 60.0
COPY_SECONDS = 3600.0
"""Enough for a partition with very many states."""


class Copies:
    """One local copy of each partition, brought up to date on request."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._open: dict[int, LocalStore] = {}

    def store(self, name: str, partition: int) -> LocalStore:
        """Return the store of this name beside the copies, empty if it is new."""
        return LocalStore(self._folder / f"{name}-{partition}")

    async def refreshed(self, partition: int) -> LocalStore:
        """Return the copy of a partition, of the moment of its newest transaction."""
        local = self._open.get(partition) or self._open.setdefault(partition, self.store("copy", partition))
        names = self._settings.names
        topics = {log: names.changelog(log) for log in CHANGELOGS}
        reading = Changelogs(self._settings.kafka, topics, partition)
        async with asyncio.timeout(COPY_SECONDS), reading as changelogs:
            ranges = await changelogs.ranges()
            newest = last_whole(await changelogs.newest(ranges))
            if newest is not None:  # None: nothing was ever counted
                ends = {log: Range(found.start, newest.logs[log].end) for log, found in ranges.items()}
                await changelogs.replay(local, ends, newest.store_id)
        return local

    def close(self) -> None:
        """Close all copies."""
        for local in self._open.values():
            local.close()


def remove_abandoned(temporary: Path) -> list[Path]:
    """Remove the copies that killed audits left, and return their folders: they hold phones and are large."""
    removed = []
    for folder in temporary.glob(f"{PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < YOUNG_SECONDS:
                continue  # an audit that has just made it may not hold the lock yet
            with held(folder):
                shutil.rmtree(folder)
                removed.append(folder)
        except OSError:  # it belongs to another user, or an audit works in it
            continue
    return removed


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder while an audit works in it. Raises OSError if another audit holds the lock."""
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextmanager
def copies(settings: Settings) -> Iterator[Copies]:
    """Yield copies in a temporary folder, which is removed at the end."""
    remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, held(Path(folder)):
        kept = Copies(settings, Path(folder))
        try:
            yield kept
        finally:
            kept.close()
