"""The memory view: the newest rows of every campaign and of every operator, from all partitions.

Rows are kept packed, and unpacked on request: most rows change again before a request reads them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from tally.agents.view.campaign import Campaign, PartitionRow, SlotsByTemplate
from tally.agents.view.lacks import Lacks
from tally.agents.view.operator_rows import OperatorRows
from tally.agents.view.packed_rows import unpacked
from tally.agents.view.recent import Rank, Recent
from tally.agents.view.waiting import WaitingCallers
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.missing import is_missing
from tally.schemas.rows import PROGRESS_KEY, Progress, Row, decode_head, decode_progress, decode_row
from tally.schemas.waiting import is_waiting
from tally.tables.pieces import Steps

Groups = Callable[[RowKey | None], Iterable[Campaign]]
"""Returns the campaign of a key; with None, all campaigns."""
LOOKED_THROUGH = 500
"""Templates that one step scans, in most of a millisecond."""


class KeptRows(Mapping[RowKey, Row]):
    """The newest rows of a partition; live, not a copy."""

    def __init__(self, partition: int, groups: Groups) -> None:
        self._partition = partition
        self._groups = groups

    def __getitem__(self, key: RowKey) -> Row:
        """Return a key's row. Raises KeyError."""
        for group in self._groups(key):
            if (value := group.value(key.template, self._partition)) is not None:
                return unpacked(value)
        raise KeyError(key)

    def __iter__(self) -> Iterator[RowKey]:
        """Yield the keys that have a row."""
        return (row[0] for row in self.offsets() if row is not None)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return sum(1 for _ in self)

    def offsets(self) -> Iterator[tuple[RowKey, int] | None]:
        """Yield key and next offset of each row, and None before each batch of templates.

        Rows may change during the iteration; a row that appears or disappears meanwhile may be yielded.
        """
        for group in self._groups(None):
            slots_by_template = group.slots_by_template()
            for start in range(0, len(slots_by_template), LOOKED_THROUGH):
                yield None
                for template, value in self._ours(slots_by_template[start : start + LOOKED_THROUGH]):
                    key = RowKey(group.tenant, group.campaign, template)
                    yield key, decode_head(value).next_offset

    def _ours(self, slots_by_template: SlotsByTemplate) -> list[tuple[Template | None, bytes]]:
        ours = self._partition
        return [
            (t, value) for t, slots in slots_by_template for partition, value in slots if partition == ours
        ]


SHARED_TEMPLATES = 100_000
"""Bound of the templates that campaigns share as one object: a producer may name one for each contact."""

Listener = Callable[[int, RowKey], None]


class ChangelogReplaced(Exception):
    """The counters changelog was replaced: what was read from the former one is void."""


class View:
    """The counters of all partitions in memory, fed with the records of the changelog.

    A row or progress is replaced only by one of the same or a later facts offset. Reading the changelog again
    therefore moves no number back.
    """

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.listeners: list[Listener] = []
        """Called for each changed row."""
        self.operators = OperatorRows()
        self.waiting = WaitingCallers()
        self._progress: list[Progress | None] = [None] * partitions
        self._begun: set[int] = set()
        """Partitions with records behind their last progress: of a transaction that is not read whole."""
        self._ready: set[int] = set()
        self._campaigns: dict[tuple[str, str], Campaign] = {}
        self._of_operators: dict[tuple[str, str], Campaign] = {}
        """Rows without a campaign, kept as campaigns that no query finds."""
        self._templates: dict[Template, Template] = {}
        self._recent: dict[str, Recent] = {}
        self._too_wide: dict[str, dict[str, Campaign]] = {}
        self.beyond = 0
        """How many campaigns have more templates than an answer shows."""
        self.lacks = Lacks()

    def apply(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Apply one committed changelog record. Raises ChangelogReplaced."""
        if key == PROGRESS_KEY:
            self._apply_progress(partition, value)
            self._begun.discard(partition)
            return
        self._begun.add(partition)
        if is_missing(key):
            self.lacks.apply(partition, key, value or b"")
        elif is_waiting(key):
            self.waiting.apply(partition, key, value)
        elif value is None:
            self._drop(partition, RowKey.decode(key))
        else:
            self._apply_row(partition, RowKey.decode(key), value)

    def rows(self, partition: int) -> Mapping[RowKey, Row]:
        """Return the newest rows of a partition; live, not a copy."""
        return KeptRows(partition, self._groups)

    def offsets(self, partition: int) -> Iterator[tuple[RowKey, int] | None]:
        """Yield key and next offset of each row of a partition, and now and then None."""
        return KeptRows(partition, self._groups).offsets()

    def _groups(self, key: RowKey | None) -> Iterable[Campaign]:
        """Return the campaign of a key, if there is one; with None, all campaigns of this moment."""
        if key is None:
            return [*self._campaigns.values(), *self._of_operators.values()]
        groups = self._campaigns if key.campaign else self._of_operators
        found = groups.get((key.tenant, key.campaign))
        return () if found is None else (found,)

    def progress(self, partition: int) -> Progress | None:
        """Return the progress of a partition's last transaction; None before its first."""
        return self._progress[partition]

    def next_offset(self, partition: int) -> int:
        """Return the next facts offset of a partition: everything before it is in the rows."""
        progress = self._progress[partition]
        return 0 if progress is None else progress.next_offset

    def whole_seqs(self) -> tuple[int, ...]:
        """Return of each partition the number of the last transaction that is read whole."""
        return tuple(0 if progress is None else progress.seq for progress in self._progress)

    def reached_seqs(self) -> tuple[int, ...]:
        """Return of each partition the number of the last transaction of which a row may be here.

        It holds for partitions that are ready: there every transaction's progress is read.
        """
        return tuple(seq + (p in self._begun) for p, seq in enumerate(self.whole_seqs()))

    def set_ready(self, partition: int) -> None:
        """Note that a partition is read to the end that it had when reading began."""
        self._ready.add(partition)

    def is_ready(self, partition: int) -> bool:
        """Whether a partition is read to the end that it had when reading began."""
        return partition in self._ready

    @property
    def ready_partitions(self) -> int:
        """How many partitions are ready; numbers may be too low until all are."""
        return len(self._ready)

    def campaign(self, tenant: str, campaign: str) -> list[PartitionRow]:
        """Return the newest row of each partition and template of a campaign."""
        found = self._campaigns.get((tenant, campaign))
        return [] if found is None else found.rows()

    def find(self, tenant: str, campaign: str) -> Campaign | None:
        """Return a campaign that counts something, or None."""
        found = self._campaigns.get((tenant, campaign))
        return None if found is None or found.is_empty else found

    def recent(self, tenant: str, after: Rank | None = None) -> Iterator[Campaign]:
        """Yield a tenant's campaigns, newest activity first; consume it before anything is applied."""
        if recent := self._recent.get(tenant):
            for rank in recent.after(after):
                if found := self.find(tenant, rank.campaign):
                    yield found

    def tenants(self) -> list[str]:
        """Return the tenants that have had a campaign."""
        return list(self._recent)

    def narrowing(self, tenant: str) -> Steps[None]:
        """Recompute the spans of a tenant's campaigns in which the span of a row has become shorter."""
        for campaign in list(self._too_wide.get(tenant, {}).values()):
            yield from campaign.narrowing()
            if not campaign.size:
                continue  # gone meanwhile
            if not campaign.is_too_wide:
                self._too_wide[tenant].pop(campaign.campaign, None)
            self._recent[tenant].move(campaign.campaign, campaign.last_ms)

    def _apply_progress(self, partition: int, value: bytes | None) -> None:
        known = self._progress[partition]
        progress = None if value is None else decode_progress(value)
        if progress is None or (known is not None and known.store_id != progress.store_id):
            raise ChangelogReplaced(f"partition {partition} of the counters changelog was replaced")
        if known is None or progress.next_offset >= known.next_offset:
            self._progress[partition] = progress

    def _apply_row(self, partition: int, key: RowKey, value: bytes) -> None:
        groups = self._campaigns if key.campaign else self._of_operators
        found = groups.get((key.tenant, key.campaign))
        if found is None:
            found = groups[key.tenant, key.campaign] = Campaign(key.tenant, key.campaign)
        last_ms, was_known, was_beyond = found.last_ms, found.size > 0, found.is_beyond
        if not found.put(partition, self._one(key.template), value):
            return
        if not key.campaign:
            self.operators.put(partition, key, decode_row(value))
        elif found.last_ms != last_ms or not was_known:
            self._recent.setdefault(key.tenant, Recent()).move(key.campaign, found.last_ms)
        self.beyond += found.is_beyond - was_beyond
        self._too_wide_again(found)
        for listener in self.listeners:
            listener(partition, key)

    def _one(self, template: Template | None) -> Template | None:
        """Return the object that campaigns share for equal templates."""
        if template is None:
            return None
        if len(self._templates) < SHARED_TEMPLATES:
            return self._templates.setdefault(template, template)
        return self._templates.get(template, template)

    def _drop(self, partition: int, key: RowKey) -> None:
        groups = self._campaigns if key.campaign else self._of_operators
        found = groups.get((key.tenant, key.campaign))
        was_beyond = found is not None and found.is_beyond
        if found is None or not found.drop(partition, key.template):
            return
        self.beyond += found.is_beyond - was_beyond
        if not key.campaign:
            self.operators.drop(partition, key)
        self._too_wide_again(found)
        if not found.size:
            del groups[key.tenant, key.campaign]
            if key.campaign:
                self._recent[key.tenant].remove(key.campaign)
                self._too_wide.get(key.tenant, {}).pop(key.campaign, None)

    def _too_wide_again(self, found: Campaign) -> None:
        if found.is_too_wide and found.campaign:
            self._too_wide.setdefault(found.tenant, {})[found.campaign] = found
