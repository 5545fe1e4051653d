"""What a message is known by at its business number: the token of its wamid, however the wamid is written.

A wamid is `wamid.` and base64 of the Thrift compact struct {1: {1: peer, 2: i32}, 2: bool, 3: token}. Meta
writes the id of one message with the peer's phone and with its business-scoped id, and the i32 and the bool
differ as well: only the token is the message's own.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from base64 import b64decode, b64encode
from binascii import Error
from functools import lru_cache

from tally.schemas.keys import join_parts

PREFIX = "wamid."
TOKEN_BYTES = range(8, 65)
KEPT_KEYS = 1 << 15
"""Bound of the cache of keys: a message is named four times within a minute."""
KEPT_CHARACTERS = 128
"""Longer ids than Meta writes are not kept: a producer may send many, of 512 characters each."""
_PEER, _NUMBER, _STOP, _TOKEN = b"\x1c\x18", 0x15, 0x00, 0x18
_BOOLS = (0x11, 0x12)


def token_of(wamid: str) -> bytes | None:
    """Return a wamid's token; None for text that is not exactly such a struct, written in the one way."""
    try:
        return _token(_body(wamid))
    except (Error, IndexError, ValueError):
        return None


def _body(wamid: str) -> bytes:
    """Return the bytes that a wamid writes. Raises ValueError, and Error, for any other text."""
    written = wamid.removeprefix(PREFIX)
    body = b64decode(written, validate=True)
    if written is wamid or b64encode(body).decode() != written:
        raise ValueError("no base64 in the one way that it is written")
    return body


def _token(body: bytes) -> bytes | None:
    """Return the token of a struct. Raises IndexError and ValueError where the bytes are none."""
    if not body.startswith(_PEER):
        return None
    size, place = _varint(body, len(_PEER))
    place += size
    if body[place] != _NUMBER:
        return None
    _, place = _varint(body, place + 1)
    if body[place] != _STOP or body[place + 1] not in _BOOLS or body[place + 2] != _TOKEN:
        return None
    size, place = _varint(body, place + 3)
    is_whole = size in TOKEN_BYTES and len(body) == place + size + 1 and body[-1] == _STOP
    return body[place:-1] if is_whole else None


def message_part(wamid: str) -> bytes:
    """Return what follows the business number in a message's key: its kind, and token or text.

    A token is kind `t`, or `h` in hexadecimal digits where it is not of letters and digits; an id without a
    token is kind `x`, as it is.
    """
    return _kept_part(wamid) if len(wamid) <= KEPT_CHARACTERS else _part(wamid)


def _part(wamid: str) -> bytes:
    token = token_of(wamid)
    if token is None:
        return join_parts("x", wamid)
    return b"t/" + token if token.isalnum() else b"h/" + token.hex().encode()


_kept_part = lru_cache(KEPT_KEYS)(_part)


def message_key(number: str, wamid: str) -> bytes:
    """Return the key of a message: of its business number, and of what the wamid says."""
    return b"%b/%b" % (join_parts(number), message_part(wamid))


def has_token(part: bytes) -> bool:
    """Return whether the part of a message's key after its number is of a token."""
    return not part.startswith(b"x/")


def _varint(body: bytes, place: int) -> tuple[int, int]:
    """Return a number of 32 bits at most, and the place behind it.

    Raises IndexError where it does not end, and ValueError where it is longer than needed or too large.
    """
    value = shift = 0
    while (part := body[place]) >= 0x80:
        value |= (part & 0x7F) << shift
        shift += 7
        place += 1
    value |= part << shift
    if (not part and shift) or value >= 1 << 32:
        raise ValueError("no number of 32 bits, as it is written")
    return value, place + 1
