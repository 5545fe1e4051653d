r"""How Asterisk writes text into channel snapshots: C escapes, UTF-8 only as configured."""

import re
from hashlib import sha256

from tally.schemas.bounds import QUEUE_NAME

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANING = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def decoded(value: bytes) -> str:
    """Return a packet's text; what is no UTF-8 is taken for Latin-1: no event is lost for a name."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def unescaped(value: str) -> str:
    r"""Undo the C escapes of a variable in a snapshot (source: main/utils.c, ast_escape_c)."""
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda found: _MEANING.get(found[1], found[1]), value)


def queue_name(name: str) -> str:
    """Return how rows name a queue: by a digest where it is longer than any that a person gives."""
    encoded = name.encode("utf-8", "surrogatepass")
    return name if len(encoded) <= QUEUE_NAME.most else f"sha256:{sha256(encoded).hexdigest()[:32]}"
