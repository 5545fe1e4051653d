"""Whether a webhook and a handshake come from Meta. Pure.

Source: Meta's Webhooks, "Validating payloads" and "Verification requests".
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256

SIGNATURE = "X-Hub-Signature-256"
PREFIX = "sha256="
DIGITS = 64
LONGEST_CHALLENGE = 256


def is_signed(body: bytes, signatures: Sequence[str], keys: Sequence[bytes]) -> bool:
    """Return whether a body has exactly one signature, and it is that of one of the keys.

    It is over the bytes as they came: Meta escapes text in its own way, so JSON that is decoded and encoded
    again has another. Every key is tried, whichever fits, so that the time does not tell which it was.
    """
    given = _digest(signatures[0]) if len(signatures) == 1 else None
    if given is None:
        return False
    fits = [hmac.compare_digest(given, hmac.digest(key, body, sha256)) for key in keys]
    return any(fits)


def challenge_of(query: Sequence[tuple[str, str]], token: str) -> str | None:
    """Return what a handshake must be answered with; None if it does not show the token.

    `query` holds the parameters in their order. One that is repeated is refused: readers disagree on which
    of the two counts.
    """
    names = [name for name, _ in query]
    if len(set(names)) < len(names):
        return None
    given = dict(query)
    shown = given.get("hub.verify_token", "").encode(errors="surrogatepass")
    is_known = hmac.compare_digest(shown, token.encode())
    challenge = given.get("hub.challenge", "")
    if not is_known or given.get("hub.mode") != "subscribe" or not 1 <= len(challenge) <= LONGEST_CHALLENGE:
        return None
    return challenge


def _digest(signature: str) -> bytes | None:
    """Return the bytes of a signature; None if it is malformed. Hexadecimal digits may be of either case."""
    digits = signature[len(PREFIX) :]
    if signature[: len(PREFIX)].lower() != PREFIX or len(digits) != DIGITS or not digits.isalnum():
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None
