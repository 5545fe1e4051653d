"""Log-ins of pages: a signed token that says which key somebody has shown, and until when that holds. Pure.

The token is no secret of the key: who reads it can ask what the key may see until it ends, and nothing more.
It ends at its time, with the key, or when the secret that signs it is replaced.
"""

from collections.abc import Sequence
from hashlib import sha256

from itsdangerous import BadData, URLSafeSerializer
from msgspec import Struct, ValidationError, convert

SECONDS = 7 * 86_400
"""How long a log-in lasts after the page was last open; an open page renews it."""
LEAST_SECRET = 32
"""Characters of a secret at least."""
MOST_SECRETS = 2
SALT = "tally log-in 1"
LONGEST = 512
"""Characters of a token that are looked at; one has about 90."""


class Session(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a token says."""

    key_id: str
    until_s: int
    """Unix seconds."""

    def is_open(self, now_ms: int) -> bool:
        """Return whether it still holds."""
        return now_ms < self.until_s * 1000


class Sessions:
    """Writes and reads tokens. The first secret signs and all are believed, so that one can be replaced."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self.secrets = secrets
        # itsdangerous signs with the last one.
        self._serializer = URLSafeSerializer(
            list(reversed(secrets)),
            salt=SALT,
            signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
        )

    def token(self, key_id: str, now_ms: int) -> str:
        """Return the token of somebody who has shown a key."""
        session = Session(key_id, now_ms // 1000 + SECONDS)
        return str(self._serializer.dumps([session.key_id, session.until_s]))

    def read(self, token: str) -> Session | None:
        """Return what a token says, also where its time is over; None where it is none of ours."""
        if len(token) > LONGEST or not token.isascii():
            return None  # of bytes that are no text a header has halves of characters, which nothing encodes
        try:
            return convert(self._serializer.loads(token), Session)
        except (BadData, ValidationError):
            return None
