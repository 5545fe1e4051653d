"""The lock of a server's folder, held by the server process itself."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class FolderLock:
    """The exclusive right to run a server on `home`.

    The server inherits the descriptor, so the kernel holds the lock as long as the server or a child of it
    lives, and releases it when the last one dies. Therefore a lock is never stale, even after a kill or a
    reboot, and two servers can never run on one folder.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def try_take(cls, home: Path) -> Self | None:
        """Take the lock of `home`, or return None if a living process holds it; never wait."""
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
        """Return whether no process holds the lock of `home` now."""
        lock = cls.try_take(home)
        if lock is None:
            return False
        lock.close()
        return True

    def name_owner(self) -> None:
        """Write this process's id into the lock file, where `lock_owner` finds it."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Close our descriptor; a server that inherited it keeps the lock."""
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lock_owner(home: Path) -> str:
    """Return the process id in the lock file of `home`; `?` if there is none."""
    try:
        return (home / "lock").read_text(encoding="ascii") or "?"
    except OSError:
        return "?"
