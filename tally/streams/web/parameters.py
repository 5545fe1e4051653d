"""Request parameters, parsed into checked values. Pure."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from tally.agents.view.recent import Rank
from tally.schemas.bounds import CAMPAIGNS_SHOWN
from tally.schemas.errors import BadEvent
from tally.schemas.fields import producer_id, unix_ms

DEFAULT_LIMIT = 50
MAX_LIMIT = CAMPAIGNS_SHOWN.most
MAX_IDS = 500
NO_CURSOR = "cursor must be the next_cursor of an earlier answer"


class BadParameter(Exception):
    """A parameter of a request is invalid; the message names the parameter and the fault."""


class NotTold(Exception):
    """A request can be read, and no number that is kept can answer it; the message says what is possible."""


class ListQuery(Struct, frozen=True):
    """The parameters of a request for a list of campaigns."""

    after: Rank | None = None
    limit: int = DEFAULT_LIMIT
    since_ms: int = 0
    ids: frozenset[str] = frozenset()


LIST_PARAMETERS = ("cursor", "limit", "since", "id")


def checked_names(query: Collection[str], known: Sequence[str]) -> None:
    """Refuse unknown parameters: otherwise a misspelt filter would return everything. Raises BadParameter."""
    if unknown := sorted(set(query) - set(known)):
        expected = ", ".join(known) if known else "none"
        raise BadParameter(f"unknown parameter {unknown[0]!r}: expected are {expected}")


def checked_target(target: str) -> None:
    """Refuse a request target that is not UTF-8. Raises BadParameter.

    Otherwise such bytes would stay as `%FF` and be taken for an id written that way.
    """
    try:
        unquote_to_bytes(target).decode()
    except UnicodeError:
        raise BadParameter("the address is not UTF-8") from None


def read_id(name: str, text: str) -> str:
    """Return an id in the form in which it is counted: UUIDs in lower case. Raises BadParameter."""
    try:
        return producer_id(text, name)
    except BadEvent:
        raise BadParameter(f"{name} must have 1 to 128 characters, none of them U+0000") from None


def checked_name(name: str, text: str) -> str:
    """Return what a PBX names, as it is. Raises BadParameter for U+0000, which Postgres does not take."""
    if "\0" in text:
        raise BadParameter(f"{name} must be without U+0000")
    return text


def read_list_query(query: Mapping[str, Sequence[str]]) -> ListQuery:
    """Return the parameters of a list; `query` holds all values of each parameter. Raises BadParameter."""
    checked_names(query, LIST_PARAMETERS)
    cursor, limit, since = (single(query, name) for name in ("cursor", "limit", "since"))
    return ListQuery(
        after=read_cursor(cursor) if cursor is not None else None,
        limit=read_limit(limit, MAX_LIMIT) if limit is not None else DEFAULT_LIMIT,
        since_ms=_since(since) if since is not None else 0,
        ids=_ids(query.get("id", ())),
    )


def write_cursor(rank: Rank | None) -> str | None:
    """Return the cursor of the next page; None after the last one."""
    if rank is None:
        return None
    return write_text(f"{-rank.minus_last_ms}:{rank.campaign}".encode())


def read_cursor(cursor: str) -> Rank:
    """Return the rank of a cursor, the inverse of `write_cursor`. Raises BadParameter."""
    try:
        last_ms, colon, campaign = read_text(cursor).decode().partition(":")
        rank = Rank(-int(last_ms), campaign)
    except ValueError:
        raise BadParameter(NO_CURSOR) from None
    if not colon or write_cursor(rank) != cursor:
        raise BadParameter(NO_CURSOR)
    return rank


def write_text(value: bytes) -> str:
    """Return bytes as URL-safe base64 text without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def read_text(cursor: str) -> bytes:
    """Return the bytes of such a text, the inverse of `write_text`. Raises ValueError."""
    return urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))


def single(query: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Return the only value of a parameter; None if it is not given. Raises BadParameter."""
    values = query.get(name, ())
    if len(values) > 1:
        raise BadParameter(f"{name} must be given once")
    return values[0] if values else None


def read_limit(text: str, most: int) -> int:
    """Return the requested number of entries, from 1 to `most`. Raises BadParameter."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise BadParameter(f"limit must be a whole number from 1 to {most}")
    return int(text)


def _since(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    try:
        return unix_ms(int(text) if is_number else text, "since")
    except BadEvent:
        raise BadParameter(
            "since must be unix milliseconds, or RFC 3339 with a zone (in an address + is written %2B)"
        ) from None


def _ids(values: Sequence[str]) -> frozenset[str]:
    ids = frozenset(read_id("id", part) for value in values for part in value.split(","))
    if len(ids) > MAX_IDS:
        raise BadParameter(f"id may name at most {MAX_IDS} campaigns")
    return ids
