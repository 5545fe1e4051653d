"""Cursors of lists: the place after which a page begins, as text that clients pass back unread. Pure.

A cursor names an entry, not a number of entries: what comes or goes while a client walks a list neither hides
another entry nor shows it twice.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from tally.agents.view.recent import Rank
from tally.schemas.keys import Template, join_parts, split_parts
from tally.streams.web.parameters import CURSOR, BadParameter
from tally.tables.postgres.line_records import DIGEST_BYTES

SEALED_BYTES = 3 * DIGEST_BYTES
"""Of a tag and both digests of a line."""


def of_campaign(rank: Rank | None) -> str | None:
    """Return the cursor behind a campaign in a list by activity; None after the last page."""
    return None if rank is None else _text(f"{-rank.minus_last_ms}:{rank.campaign}".encode())


def read_campaign(cursor: str) -> Rank:
    """Return the rank of a cursor, the inverse of `of_campaign`. Raises BadParameter."""
    try:
        last_ms, colon, campaign = _bytes(cursor).decode().partition(":")
        rank = Rank(-int(last_ms), campaign)
    except ValueError:
        raise unknown_cursor() from None
    if not colon or of_campaign(rank) != cursor:
        raise unknown_cursor()
    return rank


def of_pair(last: Template | None) -> str | None:
    """Return the cursor behind a template, or an operator of a PBX; None after the last page."""
    return None if last is None else _text(join_parts(last.name, last.language))


def read_pair(cursor: str) -> Template:
    """Return the pair of a cursor, the inverse of `of_pair`. Raises BadParameter."""
    try:
        last = Template(*split_parts(_bytes(cursor)))
    except (TypeError, ValueError):
        raise unknown_cursor() from None
    if of_pair(last) != cursor:
        raise unknown_cursor()
    return last


def of_name(last: str | None) -> str | None:
    """Return the cursor behind an entry that is known by one name; None after the last page."""
    return None if last is None else _text(b"=" + last.encode())


def read_name(cursor: str) -> str:
    """Return the name of a cursor, the inverse of `of_name`. Raises BadParameter."""
    try:
        last = _bytes(cursor).decode().removeprefix("=")
    except ValueError:
        raise unknown_cursor() from None
    if of_name(last) != cursor:
        raise unknown_cursor()
    return last


def of_line(subject: bytes, line: bytes) -> str:
    """Return the cursor behind a line, by both of its digests."""
    return _text(subject + line)


def read_line(cursor: str) -> tuple[bytes, bytes]:
    """Return the digests of a cursor, the inverse of `of_line`. Raises BadParameter."""
    try:
        both = _bytes(cursor)
    except ValueError:
        raise unknown_cursor() from None
    if len(both) != 2 * DIGEST_BYTES or of_line(both[:DIGEST_BYTES], both[DIGEST_BYTES:]) != cursor:
        raise unknown_cursor()
    return both[:DIGEST_BYTES], both[DIGEST_BYTES:]


def of_sealed(sealed: bytes) -> str:
    """Return a sealed place as a cursor."""
    return _text(sealed)


def read_sealed(cursor: str) -> bytes:
    """Return the bytes of a sealed place, the inverse of `of_sealed`. Raises BadParameter."""
    try:
        sealed = _bytes(cursor)
    except ValueError:
        raise unknown_cursor() from None
    if len(sealed) != SEALED_BYTES or of_sealed(sealed) != cursor:
        raise unknown_cursor()
    return sealed


def _text(value: bytes) -> str:
    """Return bytes as URL-safe base64 without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(cursor: str) -> bytes:
    """Return the bytes of such a text. Raises ValueError."""
    return urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))


def unknown_cursor() -> BadParameter:
    """Return the refusal of a cursor that this API has not written."""
    return BadParameter(f"{CURSOR.name} must be {CURSOR.expected}")
