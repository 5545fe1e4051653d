"""Splits the byte stream of a PBX into packets, and encodes actions. No I/O.

The stream is one banner line, then packets, each ended by an empty line. Up to Asterisk 13 the answer to a
command is raw text that may hold empty lines and ends with `--END COMMAND--`.
Source: Asterisk's main/manager.c.
"""

import hashlib
import re
from typing import Literal

from msgspec import Struct

from tally.schemas.ami.packet import Packet, read_packet
from tally.streams.ami.errors import NotAmi

MAX_PACKET_BYTES = 64 << 10
"""More bytes than any valid event has."""
MAX_BANNER_BYTES = 256
BANNER = b"Asterisk Call Manager"

_EMPTY_LINES = re.compile(rb"(?:\r?\n)+")
_PACKET_END = re.compile(rb"\n(\r?\n)")
_COMMAND_END = re.compile(rb"--END COMMAND--\r?\n(\r?\n)")
_FOLLOWS = re.compile(rb"response:[ \t]*follows[ \t]*\r?\n", re.IGNORECASE)
_END_BYTES = len(b"\r\n")


class Frame(Struct, frozen=True):
    """The bytes of one packet without its empty line, or a piece of an oversized packet."""

    raw: bytes
    whole: bool = True


class Framer:
    """Splits a stream into frames, the same ones however the stream is chunked."""

    def __init__(self, max_packet_bytes: int = MAX_PACKET_BYTES) -> None:
        self._max_bytes = max_packet_bytes
        self._held = bytearray()
        self._searched = 0
        """No packet ends before this index of the held bytes."""
        self._broken = False
        """Whether the held bytes continue an oversized packet whose first piece was already cut."""
        self.banner = ""
        """The server's first line; empty until it has arrived."""

    def feed(self, data: bytes) -> list[Frame]:
        """Accept more bytes and return the frames that they complete. Raises NotAmi for another banner."""
        self._held += data
        if not self.banner and not self._read_banner():
            return []
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _read_banner(self) -> bool:
        line, end, _ = bytes(self._held[:MAX_BANNER_BYTES]).partition(b"\n")
        if not end and len(self._held) < MAX_BANNER_BYTES:
            return False
        if not end or not line.startswith(BANNER):
            raise NotAmi
        self.banner = line.decode("ascii", "replace").strip()
        del self._held[: len(line) + 1]
        return True

    def _next(self) -> Frame | None:
        if not self._broken and (empty := _EMPTY_LINES.match(self._held)):
            self._cut(empty.end())
        window = self._max_bytes + _END_BYTES
        if found := self._end_within(window):
            frame = Frame(bytes(self._held[: found.start(1)]), whole=not self._broken)
            self._cut(found.end())
            self._broken = False
            return frame
        if len(self._held) < window:
            self._searched = max(0, len(self._held) - _END_BYTES)
            return None
        piece = Frame(bytes(self._held[: self._max_bytes]), whole=False)
        self._cut(self._max_bytes)
        self._broken = True
        return piece

    def _end_within(self, window: int) -> "re.Match[bytes] | None":
        found = _PACKET_END.search(self._held, self._searched, window)
        if found and not self._broken and is_command_output(self._held):
            return _COMMAND_END.search(self._held, 0, window)
        return found

    def _cut(self, count: int) -> None:
        del self._held[:count]
        self._searched = 0


def is_command_output(raw: bytes | bytearray) -> bool:
    """Return whether these bytes begin a command's output in the form of old versions."""
    return _FOLLOWS.match(raw) is not None


Malformed = Literal["too_large", "no_fields", "no_event"]


def read_frame(frame: Frame) -> Packet | Malformed:
    """Return an event or a response; for any other frame, why it is malformed."""
    if not frame.whole:
        return "too_large"
    if is_command_output(frame.raw):
        return Packet([("Response", "Follows")])
    try:
        # Route decides whether the text is readable.
        packet = read_packet(frame.raw.decode("utf-8", "replace"))
    except ValueError:
        return "no_fields"
    return packet if "event" in packet or "response" in packet else "no_event"


LINE_BREAKS = ("\r", "\n", "\0")


def action(name: str, action_id: str, *fields: tuple[str, str]) -> bytes:
    """Return the packet of an action. Raises ValueError for a line break: it would inject further fields."""
    lines = [("Action", name), ("ActionID", action_id), *fields]
    for key, value in lines:
        if any(character in value for character in LINE_BREAKS):
            raise ValueError(f"{key} of {name} holds a line break")
    return "".join(f"{key}: {value}\r\n" for key, value in lines).encode() + b"\r\n"


def digest(challenge: str, secret: str) -> str:
    """Return the key that answers the challenge of an MD5 login."""
    return hashlib.md5((challenge + secret).encode(), usedforsecurity=False).hexdigest()
