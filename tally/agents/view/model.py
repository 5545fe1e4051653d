"""The memory view: the newest rows of every campaign and of every operator, from all partitions."""

from collections.abc import Callable, Iterator, Mapping

from tally.agents.view.campaign import Campaign, Keyed
from tally.agents.view.kept_rows import KeptRows, Values
from tally.agents.view.operator_rows import Operator, OperatorRows
from tally.agents.view.recent import Place, Recent
from tally.schemas.keys import RowKey
from tally.schemas.rows import (
    PROGRESS_KEY,
    Progress,
    Row,
    RowHead,
    decode_head,
    decode_progress,
    decode_row,
)

Listener = Callable[[int, RowKey], None]


class ChangelogReplaced(Exception):
    """The counters changelog is another one than before: what was read from the former is void."""


class View:
    """The counters of all partitions in memory; whoever reads the changelog feeds it.

    A row or a progress gives way to one of the same or a later facts offset, never to an earlier one, so
    that reading the changelog again moves no number back.
    """

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.listeners: list[Listener] = []
        """Called for each changed row."""
        self._values: list[Values] = [{} for _ in range(partitions)]
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
            self._take_row(partition, RowKey.decode(key), value)

    def rows(self, partition: int) -> Mapping[RowKey, Row]:
        """Return the newest rows of a partition; live, not a copy."""
        return KeptRows(self._values[partition])

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
        return [] if found is None else found.rows()

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

    def _take_row(self, partition: int, key: RowKey, value: bytes) -> None:
        values = self._values[partition]
        known, head = values.get(key), decode_head(value)
        if known is not None and (known == value or head.next_offset < decode_head(known).next_offset):
            return
        values[key] = value
        if key.campaign:
            self._put(partition, key, value, head)
        else:
            self._operators.put(partition, key, decode_row(value))
        for listener in self.listeners:
            listener(partition, key)

    def _put(self, partition: int, key: RowKey, value: bytes, head: RowHead) -> None:
        found = self._campaign(key)
        if found.put(partition, key, value, head):
            self._recent[key.tenant].move(key.campaign, found.last_ms)

    def _drop(self, partition: int, key: RowKey) -> None:
        if self._values[partition].pop(key, None) is None:
            return
        if not key.campaign:
            self._operators.drop(partition, key)
            return
        found = self._campaign(key)
        found.drop(partition, key)
        if not found.values:
            del self._campaigns[key.tenant, key.campaign]
            self._recent[key.tenant].remove(key.campaign)

    def _campaign(self, key: RowKey) -> Campaign:
        name = (key.tenant, key.campaign)
        found = self._campaigns.get(name)
        if found is None:
            found = self._campaigns[name] = Campaign(*name)
            self._recent.setdefault(key.tenant, Recent())
        return found
