"""Room for the bodies that a gateway holds: a bound on their bytes over all requests."""

from collections.abc import Iterator
from contextlib import contextmanager


class NoRoom(Exception):
    """The bodies of other requests take all of the room."""


class Share:
    """The bytes of one request's body."""

    def __init__(self, room: "Room") -> None:
        self._room = room
        self.bytes = 0

    def grow_to(self, size_bytes: int) -> None:
        """Reserve as much more as is missing to this size. Raises NoRoom, and keeps what it has."""
        if size_bytes > self.bytes:
            self._room.reserve(size_bytes - self.bytes)
            self.bytes = size_bytes


class Room:
    """Counts the bytes of all bodies from the first read until their answers."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.used_bytes = 0

    def reserve(self, size_bytes: int) -> None:
        """Reserve bytes. Raises NoRoom."""
        if self.used_bytes + size_bytes > self._most_bytes:
            raise NoRoom
        self.used_bytes += size_bytes

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give one request a share, and take it back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.used_bytes -= share.bytes
