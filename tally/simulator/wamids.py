"""Ids of messages as Meta writes them: base64 of a Thrift compact struct that holds a peer and a token."""

from base64 import b64decode, b64encode
from random import Random

TOKEN_DIGITS = 18
OF_A_GATEWAY = 0.03
"""The share of ids that some gateway has replaced by its own: they hold no token."""


def new_wamid(rng: Random, peer: str) -> str:
    """Return the id of a new message; `peer` is a phone's digits or a business-scoped id."""
    if rng.random() < OF_A_GATEWAY:
        return f"gw-{rng.getrandbits(64):016x}"
    return _written(rng, peer, f"{rng.getrandbits(4 * TOKEN_DIGITS):0{TOKEN_DIGITS}X}")


def spelt_anew(rng: Random, wamid: str, peers: tuple[str, ...]) -> str:
    """Return another id of the same message, with one of these peers; a gateway's own id has no other."""
    if not wamid.startswith("wamid."):
        return wamid
    token = b64decode(wamid.removeprefix("wamid."))[-1 - TOKEN_DIGITS : -1].decode()
    return _written(rng, rng.choice(peers), token)


def _written(rng: Random, peer: str, token: str) -> str:
    head = b"\x1c\x18" + _varint(len(peer)) + peer.encode()
    rest = b"\x15" + _varint(rng.choice((2, 4, 300))) + b"\x00" + rng.choice((b"\x11", b"\x12"))
    body = head + rest + b"\x18" + _varint(len(token)) + token.encode() + b"\x00"
    return "wamid." + b64encode(body).decode()


def _varint(number: int) -> bytes:
    part, rest = number & 0x7F, number >> 7
    return bytes([part | 0x80]) + _varint(rest) if rest else bytes([part])
