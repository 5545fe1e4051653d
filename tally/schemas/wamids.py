"""What a message is known by at its business number: the token of its wamid, however the wamid is written.

A wamid is `wamid.` and base64 of the Thrift compact struct {1: {1: peer, 2: i32}, 2: bool, 3: token}. Meta
writes the id of one message with the peer's phone and with its business-scoped id, and the i32 and the bool
differ as well: only the token is the message's own.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from base64 import b64decode, b64encode
from binascii import Error
from functools import lru_cache
from typing import NamedTuple

from tally.schemas.keys import join_parts, split_parts

PREFIX = "wamid."
TOKEN_BYTES = range(8, 65)
KEPT_KEYS = 1 << 15
"""Bound of the cache of keys: a message is named four times within a minute."""
KEPT_CHARACTERS = 128
"""Longer ids than Meta writes are not kept: a producer may send many, of 512 characters each."""
_PEER, _NUMBER, _STOP, _TOKEN = b"\x1c\x18", 0x15, 0x00, 0x18
_BOOLS = (0x11, 0x12)
_END = bytes([_STOP])


class MessageId(NamedTuple):
    """What an id of a message says."""

    part: bytes
    """What follows the business number in the message's key: its kind, and token or text.

    A token is kind `t`, or `h` in hexadecimal digits where it is not of letters and digits; an id without a
    token is kind `x`, as it is.
    """
    spelling: bytes
    """The struct up to its token: what ids of one message differ in; empty without a token."""

    @property
    def has_token(self) -> bool:
        """Whether a token is found in it."""
        return bool(self.spelling)


def message_id(wamid: str) -> MessageId:
    """Read an id of a message."""
    return _kept_id(wamid) if len(wamid) <= KEPT_CHARACTERS else _read(wamid)


def _read(wamid: str) -> MessageId:
    try:
        body = _body(wamid)
        place = _token_place(body)
    except (Error, IndexError, ValueError):
        return MessageId(join_parts("x", wamid), b"")
    token = body[place:-1]
    part = b"t/" + token if token.isalnum() else b"h/" + token.hex().encode()
    return MessageId(part, body[:place])


_kept_id = lru_cache(KEPT_KEYS)(_read)


def written_id(part: bytes, spelling: bytes) -> str:
    """Return the id that says this: the inverse of `message_id`."""
    kind, text = split_parts(part)
    if kind == "x":
        return text
    token = bytes.fromhex(text) if kind == "h" else text.encode()
    return PREFIX + b64encode(spelling + token + _END).decode()


def smaller_spelling(left: bytes, right: bytes) -> bytes:
    """Return the one of two spellings that makes the smaller id of a message, as bytes; empty is unknown.

    The token need not be known: two spellings differ before either ends, and so do the ids.
    """
    return min(left, right, key=b64encode) if left and right else left or right


def _body(wamid: str) -> bytes:
    """Return the bytes that a wamid writes. Raises ValueError, and Error, for any other text."""
    written = wamid.removeprefix(PREFIX)
    body = b64decode(written, validate=True)
    if written is wamid or b64encode(body).decode() != written:
        raise ValueError("no base64 in the one way that it is written")
    return body


def _token_place(body: bytes) -> int:
    """Return where the token of a struct begins. Raises IndexError and ValueError where there is none."""
    if not body.startswith(_PEER):
        raise ValueError("no struct of a peer")
    size, place = _varint(body, len(_PEER))
    place += size
    if body[place] != _NUMBER:
        raise ValueError("no number behind the peer")
    _, place = _varint(body, place + 1)
    if body[place] != _STOP or body[place + 1] not in _BOOLS or body[place + 2] != _TOKEN:
        raise ValueError("no token behind the number")
    size, place = _varint(body, place + 3)
    if size not in TOKEN_BYTES or len(body) != place + size + 1 or body[-1] != _STOP:
        raise ValueError("no token of 8 to 64 bytes at the end")
    return place


def message_key(number: str, wamid: str) -> bytes:
    """Return the key of a message: of its business number, and of what the wamid says."""
    return b"%b/%b" % (join_parts(number), message_id(wamid).part)


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
