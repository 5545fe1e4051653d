"""A stand-in for records of Kafka that the client could not, or may not, take apart."""

from typing import Any

from msgspec import Struct

from tally.schemas.bounds import LETTER_END
from tally.schemas.errors import Bad
from tally.schemas.kept import Kept, kept


class Unread(Struct, frozen=True):
    """Stands in the place of the first record of a batch; what follows the batch is read as ever.

    Its value is what was kept of the batch's bytes. It is none of the batch's records, so whoever counts raw
    records leaves it out; anyone else finds a record that cannot be decoded, and never a tombstone.
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
        """Itself: the one field that the client hands on as it is, and that no producer can fill."""
        return self

    @property
    def value(self) -> bytes:
        """What was kept of the bytes."""
        return self.kept.data


def stands_in(record: Any) -> bool:
    """Whether a record, as any consumer hands it out, stands for a batch that was not taken apart."""
    return type(getattr(record, "checksum", None)) is Unread


def unread(data: memoryview, offset: int, timestamp_ms: int, bad: Bad) -> Unread:
    """Return the stand-in for a batch's bytes, which are kept as far as a dead letter keeps them. Pure."""
    return Unread(offset, timestamp_ms, bad, kept(data, 0, LETTER_END.most))
