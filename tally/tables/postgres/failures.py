"""Failures of Postgres, classified by SQLSTATE class and never by text."""

from asyncpg import InterfaceError, InternalClientError, PostgresError
from asyncpg.exceptions import ClientConfigurationError

UNACCEPTABLE_CLASSES = frozenset({"22", "23", "54"})
"""Bad data, a violated constraint, or a limit of the server, such as the size of an index entry."""
REFUSED_CLASSES = frozenset({"0A", "28", "3D", "3F", "42"})
"""Unsupported feature, failed login, unknown database or schema, unknown table or missing right."""

LOCK_NOT_AVAILABLE = "55P03"


class PostgresFailure(Exception):
    """A failed request to Postgres; `group` is the SQLSTATE class, `timeout` or `connection`."""

    def __init__(self, group: str, sqlstate: str, reason: str) -> None:
        super().__init__(f"{sqlstate or group}: {reason}")
        self.group = group
        self.sqlstate = sqlstate
        self.reason = reason


class Away(PostgresFailure):
    """Postgres is unreachable or busy, or timed out on a lock: try again later."""


class Refused(PostgresFailure):
    """Postgres rejects the request: a right, a migration or a setting is missing; retrying does not help."""


class Unacceptable(PostgresFailure):
    """Postgres can never store at least one row of a batch as it is."""


def named(error: Exception) -> PostgresFailure | None:
    """Return the failure that an error of asyncpg or the network means; None if it is not Postgres's.

    The reason is the server's message for an error that the server reported. For others it is the error's
    type, since a client's message may quote parts of the DSN.
    """
    if isinstance(error, PostgresError):
        return _reported(error)
    reason = type(error).__name__
    if isinstance(error, TimeoutError):
        return Away("timeout", "", "deadline passed")
    if isinstance(error, ClientConfigurationError):
        return Refused("connection", "", reason)
    if isinstance(error, ValueError):
        # asyncpg cannot encode an argument. Rows are sent as text, so no row is the cause.
        return None
    if isinstance(error, OSError | InterfaceError | InternalClientError):
        return Away("connection", "", reason)
    return None


def _reported(error: PostgresError) -> PostgresFailure:
    sqlstate = error.sqlstate or "XX000"
    group = sqlstate[:2]
    kind: type[PostgresFailure] = Away
    if group in UNACCEPTABLE_CLASSES:
        kind = Unacceptable
    elif group in REFUSED_CLASSES:
        kind = Refused
    return kind(group, sqlstate, str(error.args[0]) if error.args else type(error).__name__)
