"""Stand-ins for batches that the client could not, or may not, unpack."""

from typing import Any

from msgspec import Struct

from tally.schemas.bounds import LETTER_END
from tally.schemas.errors import Bad
from tally.schemas.kept import Kept, kept


class Unread(Struct, frozen=True):
    """A stand-in at the first offset of a batch; the records after the batch are read as usual.

    Its value is the kept part of the batch's bytes. It is not one of the batch's records, so a count of raw
    records leaves it out. Any other reader sees a record that cannot be decoded, never a tombstone.
    """

    offset: int
    timestamp: int
    bad: Bad
    kept: Kept
    key: None = None
    headers: tuple[()] = ()
    timestamp_type: int = 0

    @property
    def checksum(self) -> "Unread":
        """This object: `checksum` is the one field that the client copies as it is and no producer sets."""
        return self

    @property
    def value(self) -> bytes:
        """The kept part of the batch's bytes."""
        return self.kept.data


def stands_in(record: Any) -> bool:
    """Return whether a record from any consumer stands for a batch that was not unpacked."""
    return type(getattr(record, "checksum", None)) is Unread


def unread(data: memoryview, offset: int, timestamp_ms: int, bad: Bad) -> Unread:
    """Return the stand-in for a batch; it keeps as much of the bytes as a dead letter does. Pure."""
    return Unread(offset, timestamp_ms, bad, kept(data, 0, LETTER_END.most))
