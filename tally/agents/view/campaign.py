"""What the memory view knows of one campaign."""

from hashlib import blake2b

from tally.schemas.keys import RowKey
from tally.schemas.rows import Row, RowHead, decode_row, encode

Keyed = tuple[int, RowKey, Row]

VERSION_BYTES = 12


class Campaign:
    """What is known of one campaign: its newest row of each partition and template."""

    __slots__ = ("_is_empty", "_version", "campaign", "first_ms", "last_ms", "summary", "tenant", "values")

    def __init__(self, tenant: str, campaign: str) -> None:
        self.tenant = tenant
        self.campaign = campaign
        self.values: dict[tuple[int, RowKey], bytes] = {}
        self.first_ms = self.last_ms = 0
        self.summary: bytes | None = None
        """What a list shows of it, as its reader left it here; void once a row changes."""
        self._version: bytes | None = None
        self._is_empty: bool | None = None

    def put(self, partition: int, key: RowKey, value: bytes, head: RowHead) -> bool:
        """Take a newer row; return whether the last activity moved."""
        is_later = not self.values or head.last_ms > self.last_ms
        if is_later:
            self.last_ms = head.last_ms
        if not self.values or head.first_ms < self.first_ms:
            self.first_ms = head.first_ms
        self.values[partition, key] = value
        self._changed()
        return is_later

    def drop(self, partition: int, key: RowKey) -> None:
        """Forget a row."""
        del self.values[partition, key]
        self._changed()

    def rows(self) -> list[Keyed]:
        """Return the newest row of each partition and template."""
        return [(*place, decode_row(value)) for place, value in self.values.items()]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted: rows that lost everything are kept as zeros, and show nothing."""
        if self._is_empty is None:
            self._is_empty = not any(decode_row(value).counts for value in self.values.values())
        return self._is_empty

    @property
    def version(self) -> bytes:
        """A digest of the rows: the same in every process that has read the same, until one changes."""
        if self._version is None:
            entries = sorted(
                (partition, key.encode(), value) for (partition, key), value in self.values.items()
            )
            self._version = blake2b(encode(entries), digest_size=VERSION_BYTES).digest()
        return self._version

    def _changed(self) -> None:
        self._version = self.summary = self._is_empty = None
