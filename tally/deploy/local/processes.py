"""Server processes: each starts in its own session, and is recognised by its command line."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tally.deploy.local.errors import PreparationFailed, UnsupportedPlatform

POLL_SECONDS = 0.02
PROC = Path("/proc")


@dataclass(frozen=True)
class Command:
    """A program with its arguments, and additions to the minimal environment."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def require_proc() -> None:
    """Raise UnsupportedPlatform if the platform does not show the command lines of processes."""
    if not (PROC / "self" / "cmdline").exists():
        raise UnsupportedPlatform(
            "the embedded servers need Linux: set TALLY_KAFKA_BOOTSTRAP and TALLY_POSTGRES_DSN to use others"
        )


def names_path(pid: int, path: Path) -> bool:
    """Return whether process `pid` runs now with `path` on its command line; a zombie has none."""
    try:
        arguments = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(path) in arguments


def minimal_environment() -> dict[str, str]:
    """Return the environment of servers and tools, without the user's variables such as JAVA_* and PG*."""
    # UTF-8, because Java decodes folder names by the locale.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}


def spawn(command: Command, *, cwd: Path, log_path: Path, lock_fd: int) -> subprocess.Popen[bytes]:
    """Start a server that inherits its lock, in a new session, which the terminal's Ctrl-C does not reach."""
    if log_path.exists():
        os.replace(log_path, log_path.with_suffix(".log.1"))
    with log_path.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the program is our own choice
            command.argv,
            cwd=cwd,
            env={**minimal_environment(), **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock_fd,),
        )


def run_tool(command: Command, *, cwd: Path, timeout_seconds: float, stdin: str = "") -> str:
    """Run a preparing tool to its end and return its output. Raises PreparationFailed."""
    try:
        done = subprocess.run(  # noqa: S603 - the program is our own choice
            command.argv,
            cwd=cwd,
            env={**minimal_environment(), **command.environment},
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PreparationFailed(f"{command.argv[0]}: {error}") from error
    if done.returncode != 0:
        raise PreparationFailed(f"{command.argv[0]} exited with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def wait_until(condition: Callable[[], bool], deadline_seconds: float) -> bool:
    """Poll `condition` until it holds or the deadline passes; return its last value."""
    end = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_SECONDS)
    return True
