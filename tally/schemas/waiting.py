"""Callers who wait in a queue at this moment, as the counters changelog keeps them. Pure.

Each is a record of its own beside the rows, under a key that begins with NUL: the callers of a queue have no
bound, and a row has. It is deleted when the caller leaves, is connected, hangs up or is found missing.
"""

import msgspec
from msgspec import Struct

from tally.schemas.keys import join_parts, split_parts
from tally.schemas.missing import NO_ROW

WAITING = NO_ROW + b"waiting/"
_PARTS = 4

_encode = msgspec.msgpack.Encoder().encode
_decode_since = msgspec.msgpack.Decoder(int).decode


class Caller(Struct, frozen=True, order=True):
    """Who waits where: a channel of a PBX in one of its queues."""

    tenant: str
    pbx: str
    queue: str
    channel: str
    """Its Uniqueid."""

    def encode(self) -> bytes:
        """Return the changelog key."""
        return WAITING + join_parts(self.tenant, self.pbx, self.queue, self.channel)


def is_waiting(key: bytes) -> bool:
    """Return whether a key of the counters changelog is a caller's."""
    return key.startswith(WAITING)


def decode_caller(key: bytes) -> Caller:
    """Undo `Caller.encode`. Raises ValueError for another key."""
    parts = split_parts(key.removeprefix(WAITING))
    if len(parts) != _PARTS:
        raise ValueError("no caller")
    return Caller(*parts)


def encode_since(since_ms: int) -> bytes:
    """Return the value of a caller who has waited since a moment, in unix ms."""
    return _encode(since_ms)


def decode_since(value: bytes) -> int:
    """Undo `encode_since`. Raises msgspec.ValidationError."""
    return _decode_since(value)
