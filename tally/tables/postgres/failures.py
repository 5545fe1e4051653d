"""What can go wrong with Postgres, told apart by SQLSTATE class and never by text."""

from asyncpg import InterfaceError, InternalClientError, PostgresError
from asyncpg.exceptions import ClientConfigurationError

UNACCEPTABLE_CLASSES = frozenset({"22", "23", "54"})
"""Bad data, broken constraint, a limit of the server such as that of an index entry."""
REFUSED_CLASSES = frozenset({"0A", "28", "3D", "3F", "42"})
"""Unsupported, not authorised, no such database or schema, no such table or right."""


class PostgresFailure(Exception):
    """Postgres did not do what it was asked to; `group` is the SQLSTATE class, `timeout` or `connection`."""

    def __init__(self, group: str, sqlstate: str, reason: str) -> None:
        super().__init__(f"{sqlstate or group}: {reason}")
        self.group = group
        self.sqlstate = sqlstate
        self.reason = reason


class Away(PostgresFailure):
    """Postgres cannot be reached, is busy or gave up on a lock: try again later."""


class Refused(PostgresFailure):
    """Postgres is there and says no: a right, a migration or a setting is missing; somebody has to act."""


class Unacceptable(PostgresFailure):
    """At least one row of a batch can never be stored as it is."""


def named(error: Exception) -> PostgresFailure | None:
    """Return what an error of asyncpg or of the network means; None for what is no failure of Postgres.

    The reason is the server's own message for an error that it reported, else the kind of error: a client's
    message may quote parts of the DSN.
    """
    if isinstance(error, PostgresError):
        return _reported(error)
    reason = type(error).__name__
    if isinstance(error, TimeoutError):
        return Away("timeout", "", "deadline passed")
    if isinstance(error, ClientConfigurationError):
        return Refused("connection", "", reason)
    if isinstance(error, ValueError):
        # An argument that asyncpg cannot encode; rows come as text, so it is none of theirs.
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
