"""Where a partition's local copy stands, and making it anew where it cannot be believed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from tally.tables.store.errors import CopyUnfit, Rebuilt
from tally.tables.store.local import LocalStore, remove

log = structlog.get_logger()


class Copy:
    """The files of one partition."""

    def __init__(self, path: Path, rebuilt: Callable[[Rebuilt], None]) -> None:
        self._path = path
        self._rebuilt = rebuilt
        self._local: LocalStore | None = None

    @contextmanager
    def opening(self) -> Iterator[LocalStore]:
        """Open the copy, and hold the files' lock only if the opening succeeds.

        A copy that is damaged is removed at once, and an empty one stands in its place.
        """
        self._local = self._opened()
        try:
            yield self._local
        except BaseException:
            self._local.close()
            raise

    def remade(self) -> LocalStore:
        """Return an empty copy in place of the one that is open."""
        if self._local is not None:
            self._local.close()
        self.remove()
        self._local = LocalStore(self._path)
        return self._local

    def remove(self) -> None:
        """Remove the files of a copy that is closed."""
        remove(self._path)

    def note_rebuilt(self, why: Rebuilt) -> None:
        """Say why a copy is made anew, for metrics and for people."""
        log.warning("local copy is read anew from its changelogs", why=why, copy=self._path.name)
        self._rebuilt(why)

    def _opened(self) -> LocalStore:
        try:
            return LocalStore(self._path)
        except CopyUnfit as error:
            log.warning("local copy does not open", error=str(error))
            self.note_rebuilt(error.why)
            self.remove()
            return LocalStore(self._path)
