"""The lock of a server's folder, held by the server process itself."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class FolderLock:
    """Exclusive right to run a server on `home`.

    The server inherits the descriptor, so the kernel holds the lock for as long as the server or any child of
    it lives and lets go the moment the last one is dead. A lock can therefore never be stale, whatever was
    killed or rebooted, and two servers on one folder are impossible.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def try_take(cls, home: Path) -> Self | None:
        """Take the lock of `home` now, or return None where a living process holds it."""
        fd = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)

    @classmethod
    def is_free(cls, home: Path) -> bool:
        """Whether nobody holds the lock of `home` now."""
        lock = cls.try_take(home)
        if lock is None:
            return False
        lock.close()
        return True

    def name_owner(self) -> None:
        """Write into the lock which process holds it, for whoever finds it taken."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Let go of our own hold; a server that inherited it keeps the lock."""
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lock_owner(home: Path) -> str:
    """Return the id of the process that has named itself in the lock of `home`; `?` where none has."""
    try:
        return (home / "lock").read_text(encoding="ascii") or "?"
    except OSError:
        return "?"
