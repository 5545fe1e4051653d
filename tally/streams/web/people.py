"""What of people a key sees in a list: who they are, or masked phones and no other identifier."""

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Any

import structlog
from aiohttp import web
from msgspec import Struct

from tally.streams.web.admission import KEY_ID, SEES_PEOPLE
from tally.streams.web.cursors import of_line, of_sealed, read_line, read_sealed, unknown_cursor
from tally.streams.web.parameters import CURSOR, Query, single
from tally.tables.postgres.lines import BEGINNING, After

IDENTIFIERS = ("subject", "contact", "attempt", "message", "leg")
"""What a line says of who it is, beside the phone."""
NO_PLACE = {"topic": None, "partition": None, "offset": None}
SHOWN_DIGITS = 2
LEAST_DIGITS = 7
"""Of a shorter phone none is shown."""
_TAG_BYTES = 16
_SALT = b"tally cursor of masked lines 1"
Json = dict[str, Any]

log = structlog.get_logger()


class Seal:
    """Hides in a cursor which digests of identifiers a page ends with: a phone can be guessed by its digest.

    The construction is SIV (RFC 5297, section 2) with HMAC-SHA-256 in place of the cipher: a tag of both
    digests, then they under a pad that the tag and the secret make. Together they are as long as one pad.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        """Seal with the first secret, and open what any of them has sealed."""
        self._keys = [digest(secret.encode(), _SALT, sha256) for secret in secrets]

    def close(self, place: After) -> str:
        """Return the cursor of a place."""
        key, plain = self._keys[0], b"".join(place)
        tag = _tag(key, plain)
        return of_sealed(tag + _padded(key, tag, plain))

    def open(self, cursor: str) -> After:
        """Return the place of a cursor, the inverse of `close`. Raises BadParameter."""
        sealed = read_sealed(cursor)
        tag, hidden = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        for key in self._keys:
            plain = _padded(key, tag, hidden)
            if compare_digest(_tag(key, plain), tag):
                return plain[: len(plain) // 2], plain[len(plain) // 2 :]
        raise unknown_cursor()


SEAL = web.AppKey("seal", Seal)


class Sight(Struct, frozen=True):
    """What a key sees of people, and the cursors that it is given."""

    is_whole: bool
    seal: Seal

    def after(self, query: Query) -> After:
        """Return the place behind which a page begins. Raises BadParameter.

        Who sees masked phones gets no page behind a digest of its choice: that would find out whose lines
        are there.
        """
        cursor = single(query, CURSOR.name)
        if cursor is None:
            return BEGINNING
        return read_line(cursor) if self.is_whole else self.seal.open(cursor)

    def cursor(self, place: After) -> str:
        """Return the cursor behind a line."""
        return of_line(*place) if self.is_whole else self.seal.close(place)

    def line(self, line: Json) -> Json:
        """Return what is seen of a line."""
        return line if self.is_whole else masked(line)


def sight_of(request: web.Request) -> Sight:
    """Return what the key of a request sees of people."""
    return Sight(request.get(SEES_PEOPLE, False), request.app[SEAL])


def note_use(request: web.Request, people: int) -> None:
    """Log that a key was shown so many lines with who they are: each use, by the key's id."""
    if request.get(SEES_PEOPLE, False):
        log.info("people shown", key_id=request.get(KEY_ID, ""), lines=people)


def masked(line: Json) -> Json:
    """Return a line with a masked phone and no other identifier; no place of a record leads to one. Pure."""
    events = [event | NO_PLACE for event in line["events"]]
    hidden = dict.fromkeys(IDENTIFIERS, "")
    return line | hidden | {"phone": masked_phone(line["phone"]), "events": events}


def masked_phone(phone: str) -> str:
    """Return a phone with all digits but the last two as stars. Pure."""
    shown = SHOWN_DIGITS if len(phone) >= LEAST_DIGITS else 0
    return "*" * (len(phone) - shown) + phone[len(phone) - shown :]


def _tag(key: bytes, plain: bytes) -> bytes:
    return digest(key, b"tag" + plain, sha256)[:_TAG_BYTES]


def _padded(key: bytes, tag: bytes, text: bytes) -> bytes:
    pad = digest(key, b"pad" + tag, sha256)
    return bytes(left ^ right for left, right in zip(text, pad, strict=True))
