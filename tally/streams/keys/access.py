"""Who may do what: the decision on one request. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from tally.streams.keys.key import Key, Scope, read_presented, recognised
from tally.streams.keys.sessions import Session

SCHEME = "bearer"


class Needed(Struct, frozen=True):
    """What an address asks of a key."""

    scope: Scope
    is_tenants: bool = True
    """Whether its path names a tenant, for which the key must be."""
    or_scope: Scope | None = None
    """Another scope that opens it too, and may see more there."""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Each scope that opens it."""
        return (self.scope,) if self.or_scope is None else (self.scope, self.or_scope)


class Granted(Struct, frozen=True):
    """A request is let in."""

    key_id: str
    key: Key


class Refused(Struct, frozen=True):
    """A request is not let in; nothing of what it asks for is looked at."""

    status: Literal[401, 403, 404]
    code: str
    message: str


NO_KEY = Refused(401, "unauthorised", "a valid key is needed: Authorization: Bearer tally_...")
"""The same for a key that is missing, malformed, unknown, expired or revoked: the answer teaches nothing."""
NOT_THEIRS = Refused(404, "unknown_tenant", "this key is for no such tenant")
"""The same for a tenant that exists and for one that does not."""


def decide(
    authorization: Sequence[str],
    needed: Needed | None,
    tenant: str | None,
    keys: Mapping[str, Key],
    now_ms: int,
    session: Session | None = None,
) -> Granted | Refused:
    """Decide on a request by its Authorization headers, and the tenant in its path.

    `needed` is None for an address that there is not: who has any key learns that, nobody else does.
    `session` is what its page has logged in to; a header of the request comes first.
    """
    granted = _by_key(authorization, keys, now_ms) if authorization else _by_session(session, keys, now_ms)
    if granted is None:
        return NO_KEY
    if needed is None:
        return granted
    if needed.is_tenants and (tenant is None or not granted.key.opens(tenant)):
        return NOT_THEIRS
    if not any(scope in granted.key.scopes for scope in needed.scopes):
        return Refused(403, "missing_scope", f"this key lacks the scope {needed.scope}")
    return granted


def _by_key(authorization: Sequence[str], keys: Mapping[str, Key], now_ms: int) -> Granted | None:
    scheme, _, written = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
    presented = read_presented(written.strip()) if scheme.lower() == SCHEME else None
    key = None if presented is None else recognised(presented, keys, now_ms)
    return None if presented is None or key is None else Granted(presented.key_id, key)


def _by_session(session: Session | None, keys: Mapping[str, Key], now_ms: int) -> Granted | None:
    key = None if session is None else keys.get(session.key_id)
    if session is None or key is None or not session.is_open(now_ms) or key.state(now_ms) != "active":
        return None
    return Granted(session.key_id, key)
