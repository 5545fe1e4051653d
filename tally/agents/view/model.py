"""The memory view: the newest rows of every campaign and of every operator, from all partitions."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b

from tally.agents.view.operator_rows import Operator, OperatorRows
from tally.agents.view.recent import Place, Recent
from tally.schemas.keys import RowKey
from tally.schemas.rows import PROGRESS_KEY, Progress, Row, decode_progress, decode_row, encode

Listener = Callable[[int, RowKey, Row], None]
Keyed = tuple[int, RowKey, Row]

VERSION_BYTES = 12


class ChangelogReplaced(Exception):
    """The counters changelog is another one than before: what was read from the former is void."""


class Campaign:
    """What is known of one campaign: its newest row of each partition and template."""

    __slots__ = ("_version", "campaign", "first_ms", "last_ms", "rows", "summary", "tenant")

    def __init__(self, tenant: str, campaign: str) -> None:
        self.tenant = tenant
        self.campaign = campaign
        self.rows: dict[tuple[int, RowKey], Row] = {}
        self.first_ms = self.last_ms = 0
        self.summary: bytes | None = None
        """What a list shows of it, as its reader left it here; void once a row changes."""
        self._version: bytes | None = None

    def put(self, partition: int, key: RowKey, row: Row) -> bool:
        """Take a newer row; return whether the last activity moved."""
        is_later = not self.rows or row.last_ms > self.last_ms
        if is_later:
            self.last_ms = row.last_ms
        if not self.rows or row.first_ms < self.first_ms:
            self.first_ms = row.first_ms
        self.rows[partition, key] = row
        self._version = self.summary = None
        return is_later

    def drop(self, partition: int, key: RowKey) -> None:
        """Forget a row."""
        del self.rows[partition, key]
        self._version = self.summary = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted: rows that lost everything are kept as zeros, and show nothing."""
        return not any(row.counts for row in self.rows.values())

    @property
    def version(self) -> bytes:
        """A digest of the rows: the same in every process that has read the same, until one changes."""
        if self._version is None:
            entries = sorted((partition, key.encode(), row) for (partition, key), row in self.rows.items())
            self._version = blake2b(encode(entries), digest_size=VERSION_BYTES).digest()
        return self._version


class View:
    """The counters of all partitions in memory; whoever reads the changelog feeds it.

    A row or a progress gives way to one of the same or a later facts offset, never to an earlier one, so
    that reading the changelog again moves no number back.
    """

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.listeners: list[Listener] = []
        """Called for each changed row."""
        self._rows: list[dict[RowKey, Row]] = [{} for _ in range(partitions)]
        self._progress: list[Progress | None] = [None] * partitions
        self._ready: set[int] = set()
        self._campaigns: dict[tuple[str, str], Campaign] = {}
        self._recent: dict[str, Recent] = {}
        self._operators = OperatorRows()

    def apply(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take one committed changelog record. Raises ChangelogReplaced."""
        if key == PROGRESS_KEY:
            self._take_progress(partition, value)
        elif value is None:
            self._drop(partition, RowKey.decode(key))
        else:
            self._take_row(partition, RowKey.decode(key), decode_row(value))

    def rows(self, partition: int) -> Mapping[RowKey, Row]:
        """Return the newest rows of a partition; live, not a copy."""
        return self._rows[partition]

    def progress(self, partition: int) -> Progress | None:
        """Return what a partition's last transaction left behind, or None before its first."""
        return self._progress[partition]

    def next_offset(self, partition: int) -> int:
        """Return the next facts offset of a partition: everything before it is in the rows."""
        progress = self._progress[partition]
        return 0 if progress is None else progress.next_offset

    def set_ready(self, partition: int) -> None:
        """Note that a partition has been read to where it ended when reading began."""
        self._ready.add(partition)

    def is_ready(self, partition: int) -> bool:
        """Whether a partition has been read to where it ended when reading began."""
        return partition in self._ready

    @property
    def ready_partitions(self) -> int:
        """How many partitions are ready; numbers may be low until it is all of them."""
        return len(self._ready)

    def campaign(self, tenant: str, campaign: str) -> list[Keyed]:
        """Return the newest row of each partition and template of a campaign."""
        found = self._campaigns.get((tenant, campaign))
        return [] if found is None else [(*place, row) for place, row in found.rows.items()]

    def find(self, tenant: str, campaign: str) -> Campaign | None:
        """Return a campaign of which something is counted."""
        found = self._campaigns.get((tenant, campaign))
        return None if found is None or found.is_empty else found

    def recent(self, tenant: str, after: Place | None = None) -> Iterator[Campaign]:
        """Yield a tenant's campaigns, newest activity first; consume it before anything is applied."""
        if recent := self._recent.get(tenant):
            for place in recent.after(after):
                if found := self.find(tenant, place.campaign):
                    yield found

    def operators(self, tenant: str) -> list[Operator]:
        """Return a tenant's operators, in no order."""
        return self._operators.of(tenant)

    def _take_progress(self, partition: int, value: bytes | None) -> None:
        known = self._progress[partition]
        progress = None if value is None else decode_progress(value)
        if progress is None or (known is not None and known.store_id != progress.store_id):
            raise ChangelogReplaced(f"partition {partition} of the counters changelog was replaced")
        if known is None or progress.next_offset >= known.next_offset:
            self._progress[partition] = progress

    def _take_row(self, partition: int, key: RowKey, row: Row) -> None:
        rows = self._rows[partition]
        known = rows.get(key)
        if known is not None and (row.next_offset < known.next_offset or row == known):
            return
        rows[key] = row
        if key.campaign:
            self._put(partition, key, row)
        else:
            self._operators.put(partition, key, row)
        for listener in self.listeners:
            listener(partition, key, row)

    def _put(self, partition: int, key: RowKey, row: Row) -> None:
        found = self._campaign(key)
        if found.put(partition, key, row):
            self._recent[key.tenant].move(key.campaign, found.last_ms)

    def _drop(self, partition: int, key: RowKey) -> None:
        if self._rows[partition].pop(key, None) is None:
            return
        if not key.campaign:
            self._operators.drop(partition, key)
            return
        found = self._campaign(key)
        found.drop(partition, key)
        if not found.rows:
            del self._campaigns[key.tenant, key.campaign]
            self._recent[key.tenant].remove(key.campaign)

    def _campaign(self, key: RowKey) -> Campaign:
        name = (key.tenant, key.campaign)
        found = self._campaigns.get(name)
        if found is None:
            found = self._campaigns[name] = Campaign(*name)
            self._recent.setdefault(key.tenant, Recent())
        return found
