"""Room for the bodies that a gateway holds: a bound on their bytes over all requests."""

from types import TracebackType
from typing import Self


class NoRoom(Exception):
    """The bodies of other requests take all of the room."""


class Share:
    """The bytes of one request's body; as a context it gives them back at its end."""

    def __init__(self, room: "Room") -> None:
        self._room = room
        self.bytes = 0

    def __enter__(self) -> Self:
        """Begin without any bytes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the bytes back."""
        self.give_back()

    def give_back(self) -> None:
        """Give the bytes back: the body is no longer held."""
        self._room.used_bytes -= self.bytes
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
