r"""AMI packets: the lines `Key: Value` of one event or response.

Lines end in CRLF (LF is accepted), a packet in an empty line, which may be missing here. Keys come in any
case and may repeat. Source: Asterisk's main/manager.c.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from tally.schemas.bounds import PACKET_LINES, QUEUE_NAME

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


class Packet:
    """The fields of one packet; names are asked for in lower case."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            self._fields.setdefault(name.lower(), []).append(value)

    def get(self, name: str) -> str:
        """Return a field's first value; empty where there is none."""
        values = self._fields.get(name)
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Return all values of a field that may repeat."""
        return self._fields.get(name, [])

    def items(self) -> Iterable[tuple[str, list[str]]]:
        """Return all names, in lower case, with their values in the order of the packet."""
        return self._fields.items()

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]  # a packet's fields are compared, never looked up

    def __repr__(self) -> str:
        return f"Packet({self.get('event') or self.get('response')!r})"


def read_packet(text: str) -> Packet:
    """Read the lines of one packet. Raises ValueError for a line without a colon, or too many lines.

    The value begins after the first colon and one space; everything else belongs to it.
    """
    lines = text.strip("\r\n").split("\n")
    if len(lines) > PACKET_LINES.most:
        raise ValueError(f"more than {PACKET_LINES.most} lines")
    return Packet(_field(line.removesuffix("\r"), number) for number, line in enumerate(lines, 1))


def packet_of(fields: Mapping[str, str | list[str]]) -> Packet:
    """Return the packet that a JSON object stands for: strings, and lists of strings for repeated keys."""
    return Packet(
        (name, value)
        for name, values in fields.items()
        for value in ([values] if isinstance(values, str) else values)
    )


def _field(line: str, number: int) -> tuple[str, str]:
    colon = line.find(":")
    name = line[: max(colon, 0)].strip()
    if not name:
        raise ValueError(f"line {number} is no field")
    # One copy of the value: it may have megabytes.
    return name, line[colon + (2 if line.startswith(" ", colon + 1) else 1) :]
