"""Room for the bodies that a gateway holds: a bound on their bytes over all requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

YIELDS_SECONDS = 1.0
"""How long a body may take to come before it gives its room to others: most are there in milliseconds."""


class NoRoom(Exception):
    """The bodies of other requests take all of the room, or have taken this one's."""


class Share:
    """The bytes of one request's body that are here; as a context it gives them back at its end."""

    def __init__(self, room: "Room") -> None:
        self._room = room
        self.bytes = 0
        self.is_taken = False
        """Whether it was taken away while its body was coming: nothing of that is held any longer."""

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
        if self.is_taken:
            raise NoRoom
        if size_bytes > self.bytes:
            self._room.reserve(size_bytes - self.bytes, self)
            self.bytes = size_bytes

    @contextmanager
    def coming(self, drop: Callable[[], None]) -> Iterator[None]:
        """Hold a body that comes piece by piece; raises NoRoom at the end if its room was taken meanwhile.

        `drop` is called then, at once, and lets go of the pieces.
        """
        with self._room.yielding(self, drop):
            yield
        if self.is_taken:
            raise NoRoom


class Room:
    """Counts the bytes of all bodies from their arrival until their answers.

    What a sender announces takes no room: a few who announce much and send little would else have all of it.
    Where there is none left, the body that has been coming for longest makes room, once that took a second.
    """

    def __init__(self, most_bytes: int, now_s: Callable[[], float]) -> None:
        self._most_bytes = most_bytes
        self._now_s = now_s
        self._coming: dict[Share, tuple[float, Callable[[], None]]] = {}
        """Bodies that are not there whole, the oldest first: since when, and what lets go of their pieces."""
        self.used_bytes = 0

    def reserve(self, size_bytes: int, share: Share) -> None:
        """Reserve bytes for a share. Raises NoRoom."""
        while self.used_bytes + size_bytes > self._most_bytes:
            self._make_room(share)
        self.used_bytes += size_bytes

    @contextmanager
    def yielding(self, share: Share, drop: Callable[[], None]) -> Iterator[None]:
        """Let others take a share's bytes while its body comes."""
        self._coming[share] = self._now_s(), drop
        try:
            yield
        finally:
            self._coming.pop(share, None)

    def _make_room(self, share: Share) -> None:
        """Take away the share of the body that has been coming for longest. Raises NoRoom."""
        slowest, (since_s, drop) = next(iter(self._coming.items()), (share, (0.0, lambda: None)))
        if slowest is share or self._now_s() - since_s < YIELDS_SECONDS:
            raise NoRoom
        del self._coming[slowest]
        slowest.is_taken = True
        slowest.give_back()
        drop()
