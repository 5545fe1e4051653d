"""The base of both embedded servers: start or adopt, stop, kill, start again."""

import json
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

from tally.deploy.local.errors import FolderBusy
from tally.deploy.local.folder_lock import FolderLock
from tally.deploy.local.launch import launch
from tally.deploy.local.ports import choose_port
from tally.deploy.local.processes import POLL_SECONDS, Command, names_path, require_proc, spawn, wait_until

Say = Callable[[str], None]
START_DEADLINE_SECONDS = 60.0
STOP_DEADLINE_SECONDS = 15.0
KILL_DEADLINE_SECONDS = 10.0
LOG = "server.log"


def silent(_line: str) -> None:
    """Say nothing."""


class LocalServer(ABC):
    """One server on one folder, started by us or adopted from an earlier start.

    `home` holds its data, its log, its lock and `server.json` (pid and port).
    """

    name: ClassVar[str]
    default_port: ClassVar[int]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, home: Path, port: int, pid: int, child: subprocess.Popen[bytes] | None) -> None:
        self.home, self.port, self.pid = home, port, pid
        self._child = child

    @classmethod
    def start(
        cls,
        folder: Path,
        port: int | None = None,
        deadline_seconds: float = START_DEADLINE_SECONDS,
        say: Say = silent,
    ) -> Self:
        """Start the server of `folder`, or adopt the one that runs.

        A `port` is taken exactly, but None prefers the default port and falls back to a free one, and 0 takes
        any free one. The deadline does not cover work that is done once: the download and a new data folder.
        Raises FolderBusy, PortTaken, ServerDidNotStart, DownloadFailed, ChecksumMismatch, PreparationFailed
        and UnsupportedPlatform.
        """
        require_proc()
        home = folder.resolve() / cls.name
        home.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + deadline_seconds
        while (lock := FolderLock.try_take(home)) is None:
            if (running := cls.adopt(folder)) is not None:
                return running._on(port)
            if time.monotonic() >= end:
                raise FolderBusy(
                    f"{home} is locked by a process that is not a {cls.name} ready to be adopted"
                )
            time.sleep(POLL_SECONDS)
        with lock:
            return cls._start_under(lock, home, port, deadline_seconds, say)

    @classmethod
    def adopt(cls, folder: Path) -> Self | None:
        """Return the ready server of `folder`, whichever start began it; None if there is none."""
        home = folder.resolve() / cls.name
        try:
            state = json.loads((home / "server.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        # After a kill or a reboot another program may have the pid; ours names the folder and holds its lock.
        server = cls(home, state["port"], state["pid"], None)
        return server if server.alive and not FolderLock.is_free(home) and server.is_ready() else None

    @property
    def adopted(self) -> bool:
        """Whether an earlier start, not this one, began the process."""
        return self._child is None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        if self._child is not None:
            # The command line is empty for a moment while the child becomes the server.
            return self._child.poll() is None
        return names_path(self.pid, self.home)

    @property
    def log_path(self) -> Path:
        """The output of the present process; that of the previous one is beside it."""
        return self.home / LOG

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether the process serves clients now."""

    def stop(self, deadline_seconds: float = STOP_DEADLINE_SECONDS) -> None:
        """Stop gracefully, kill after the deadline, and return when no process of the server is left."""
        self._signal(self.stop_signal)
        if not wait_until(lambda: not self.alive, deadline_seconds):
            self._signal(signal.SIGKILL)
        self._wait_gone()

    def kill(self) -> None:
        """Send SIGKILL, like a crash, and return when no process of the server is left."""
        self._signal(signal.SIGKILL)
        self._wait_gone()

    def restart(self, deadline_seconds: float = START_DEADLINE_SECONDS) -> None:
        """Start again on the same port and data; if the process still runs, stop it first."""
        if self.alive:
            self.stop()
        again = type(self).start(self.home.parent, self.port, deadline_seconds)
        self.pid, self._child = again.pid, again._child

    def abandon(self) -> None:
        """Kill a process that we began, and that never served."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(KILL_DEADLINE_SECONDS)

    def _on(self, port: int | None) -> Self:
        if port and port != self.port:
            raise FolderBusy(f"{self.name} of {self.home} already runs on port {self.port}, not on {port}")
        return self

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def _wait_gone(self) -> None:
        # The lock is free once all children have ended as well, not only the process that we know.
        if not wait_until(lambda: not self.alive and FolderLock.is_free(self.home), KILL_DEADLINE_SECONDS):
            raise FolderBusy(
                f"a process of {self.name} still holds {self.home}, long after {self.pid} was stopped"
            )

    @classmethod
    def _start_under(
        cls, lock: FolderLock, home: Path, port: int | None, deadline_seconds: float, say: Say
    ) -> Self:
        (home / "server.json").unlink(missing_ok=True)
        cls._prepare(home, say)
        return launch(partial(cls._begin, lock, home, port), deadline_seconds)

    @classmethod
    def _begin(cls, lock: FolderLock, home: Path, port: int | None) -> Self:
        chosen = choose_port(cls.name, port, cls.default_port)
        child = spawn(cls._command(home, chosen), cwd=home, log_path=home / LOG, lock_fd=lock.fd)
        server = cls(home, chosen, child.pid, child)
        # Before it is ready, so a later start can adopt it even if we are killed while we wait.
        server._write_state()
        return server

    def _write_state(self) -> None:
        state = self.home / "server.json"
        draft = state.with_suffix(".new")
        draft.write_text(json.dumps({"pid": self.pid, "port": self.port}), encoding="utf-8")
        os.replace(draft, state)

    @classmethod
    @abstractmethod
    def _prepare(cls, home: Path, say: Say) -> None:
        """Install programs, make the data of a new folder, and clean up after a crash; the lock is held."""

    @classmethod
    @abstractmethod
    def _command(cls, home: Path, port: int) -> Command:
        """Return the command that runs the server; its arguments must name `home`."""
