"""What is kept of bytes that are too many: the first and last, how many there were, and a digest."""

from hashlib import sha256

from msgspec import Struct


class Kept(Struct, frozen=True):
    """Bytes as they are kept; with a digest where something in the middle is left out."""

    data: bytes
    """All of them, or the first and the last ones, in one piece."""
    size_bytes: int
    """How many there were."""
    sha256: str = ""
    """Of all of them, in hexadecimal; empty where `data` is all of them."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.sha256


def kept(data: bytes | memoryview, most_bytes: int, end_bytes: int) -> Kept:
    """Keep bytes whole up to a size; of more only so many from each end. Pure."""
    if len(data) <= max(most_bytes, 2 * end_bytes):
        return Kept(bytes(data), len(data))
    ends = bytes(data[:end_bytes]) + bytes(data[len(data) - end_bytes :])
    return Kept(ends, len(data), sha256(data).hexdigest())
