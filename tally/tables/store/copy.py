"""The files of a partition's local copy, and their replacement when the copy is unfit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from tally.tables.store.errors import CopyUnfit, Rebuilt
from tally.tables.store.local import LocalStore, MemoryBudget, remove

log = structlog.get_logger()


class Copy:
    """The local copy of one partition, opened, emptied or removed."""

    def __init__(self, path: Path, budget: MemoryBudget, rebuilt: Callable[[Rebuilt], None]) -> None:
        self._path = path
        self._budget = budget
        self._rebuilt = rebuilt
        self._local: LocalStore | None = None

    @contextmanager
    def opening(self) -> Iterator[LocalStore]:
        """Open the copy for the body, and close it if the body fails, which releases the lock on its files.

        A damaged copy is replaced by an empty one.
        """
        self._local = self._opened()
        try:
            yield self._local
        except BaseException:
            self._local.close()
            raise

    def remade(self) -> LocalStore:
        """Replace the open copy by an empty one, and return it."""
        if self._local is not None:
            self._local.close()
        self.remove()
        self._local = LocalStore(self._path, self._budget)
        return self._local

    def remove(self) -> None:
        """Remove the files of a closed copy."""
        remove(self._path)

    def note_rebuilt(self, why: Rebuilt) -> None:
        """Log why the copy is rebuilt, and report it to the metrics."""
        log.warning("local copy is read anew from its changelogs", why=why, copy=self._path.name)
        self._rebuilt(why)

    def _opened(self) -> LocalStore:
        try:
            return LocalStore(self._path, self._budget)
        except CopyUnfit as error:
            log.warning("local copy does not open", error=str(error))
            self.note_rebuilt(error.why)
            self.remove()
            return LocalStore(self._path, self._budget)
