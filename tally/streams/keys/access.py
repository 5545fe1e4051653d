"""Who may do what: the decision on one request. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from tally.streams.keys.key import Key, Scope, read_presented, recognised

SCHEME = "bearer"


class Needed(Struct, frozen=True):
    """What an address asks of a key."""

    scope: Scope
    is_tenants: bool = True
    """Whether its path names a tenant, for which the key must be."""


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
) -> Granted | Refused:
    """Decide on a request by its Authorization headers, and the tenant in its path.

    `needed` is None for an address that there is not: who has any key learns that, nobody else does.
    """
    scheme, _, written = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
    presented = read_presented(written.strip()) if scheme.lower() == SCHEME else None
    key = None if presented is None else recognised(presented, keys, now_ms)
    if presented is None or key is None:
        return NO_KEY
    if needed is None:
        return Granted(presented.key_id, key)
    if needed.is_tenants and (tenant is None or not key.opens(tenant)):
        return NOT_THEIRS
    if needed.scope not in key.scopes:
        return Refused(403, "missing_scope", f"this key lacks the scope {needed.scope}")
    return Granted(presented.key_id, key)
