"""The rows of one campaign in the memory view, and what is remembered of the last look at them."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct, field

from tally.agents.view.packed_rows import decode_packed, packed, unpacked
from tally.agents.view.sums import Totals
from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Row, RowHead, decode_head, decode_outline, encode
from tally.tables.pieces import Steps


class PartitionRow(NamedTuple):
    """A row as one partition counts it."""

    partition: int
    key: RowKey
    row: Row


Slot = tuple[int, bytes]
"""A partition and its newest row, packed."""
Slots = tuple[Slot, ...]
"""The rows of one template, by partition."""
SlotsByTemplate = list[tuple[Template | None, Slots]]

VERSION_BYTES = 12
MOST_CHANGES = 64
"""Templates that may change between two looks. Beyond it the next look reads all rows in steps: an update of
so many templates is one step of some milliseconds."""


_DIGESTS = 1 << 8 * VERSION_BYTES
_NO_SPAN = (1 << 62, -1)


class CampaignShown(NamedTuple):
    """A campaign's entry in an answer, and the version of the rows that it shows."""

    version: bytes
    entry: bytes


class QueueCounts(NamedTuple):
    """What a campaign's rows count of queues, and their version."""

    version: bytes
    counts: Mapping[str, Mapping[str, int]]
    """The entries of the counters `queues` and `queue_waits`."""


class Look(Struct, frozen=True):
    """Digest and totals of the rows of one moment."""

    digest: int
    """Equal in every process that has read the same rows."""
    totals: Totals = field(default_factory=Totals)
    is_summed: bool = False
    """Whether the totals were computed."""

    @property
    def version(self) -> bytes:
        """The digest as bytes."""
        return self.digest.to_bytes(VERSION_BYTES, "big")


class _Watched(Struct):
    """A look, and the former rows of the templates that have changed since."""

    look: Look | None = None
    former: dict[Template | None, Slots] = {}


class Campaign:
    """One campaign: its newest row of each template and partition.

    The rows of operators, which have no campaign, are kept in the same form.
    """

    __slots__ = (
        *("_has_narrowed", "_meanwhile", "_watched", "campaign", "filled", "first_ms", "last_ms"),
        *("queues", "size", "slots", "summary", "tenant"),
    )

    def __init__(self, tenant: str, campaign: str) -> None:
        self.tenant = tenant
        self.campaign = campaign
        self.slots: dict[Template | None, Slots] = {}
        self.size = 0
        """How many rows there are."""
        self.filled = 0
        """How many rows count anything; a row that has lost all its counts is kept, and shows nothing."""
        self.first_ms = self.last_ms = 0
        self.summary: CampaignShown | None = None
        """Its entry in a list of campaigns, cached here by `campaign_answers.summary`."""
        self.queues: QueueCounts | None = None
        """What it counts of queues, cached here by `queues.queue_counts`."""
        self._watched: _Watched | None = None
        self._has_narrowed = False
        """Whether the span of a row has become shorter since `narrowing` last ran."""
        self._meanwhile: tuple[int, int] | None = None
        """The span of the rows that arrived while `narrowing` runs; None while it does not run."""

    def value(self, template: Template | None, partition: int) -> bytes | None:
        """Return the packed row of a template in a partition, or None."""
        for at, value in self.slots.get(template, ()):
            if at == partition:
                return value
        return None

    def put(self, partition: int, template: Template | None, value: bytes) -> bool:
        """Store a row's changelog value unless a newer one is known; return whether it was stored."""
        value = packed(value)
        slots = self.slots.get(template, ())
        known = next((held for at, held in slots if at == partition), None)
        outline = decode_outline(value)
        former = None
        if known is not None:
            former = decode_outline(known)
            if known == value or outline.next_offset < former.next_offset:
                return False
        self._note(template, slots)
        others = [slot for slot in slots if slot[0] != partition] if former else slots
        self.slots[template] = (
            tuple(sorted((*others, (partition, value)))) if others else ((partition, value),)
        )
        self.size += former is None
        self.filled += outline.is_filled - (former is not None and former.is_filled)
        self._span(outline, former)
        return True

    def drop(self, partition: int, template: Template | None) -> bool:
        """Forget a row; return whether there was one."""
        slots = self.slots.get(template, ())
        kept = tuple(slot for slot in slots if slot[0] != partition)
        if len(kept) == len(slots):
            return False
        self._note(template, slots)
        self.size -= 1
        self._has_narrowed = True
        self.filled -= any(decode_outline(value).is_filled for at, value in slots if at == partition)
        if kept:
            self.slots[template] = kept
        else:
            del self.slots[template]
        return True

    def rows(self) -> list[PartitionRow]:
        """Return the newest row of each partition and template."""
        return [
            PartitionRow(partition, RowKey(self.tenant, self.campaign, template), unpacked(value))
            for template, slots in self.slots.items()
            for partition, value in slots
        ]

    @property
    def is_too_wide(self) -> bool:
        """Whether its span may be longer than the span of its rows."""
        return self._has_narrowed or self._meanwhile is not None

    @property
    def is_beyond(self) -> bool:
        """Whether it has more templates than an answer shows; never so for the rows of operators."""
        return len(self.slots) > TEMPLATES_SHOWN.most + (None in self.slots) and bool(self.campaign)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted."""
        return not self.filled

    def slots_by_template(self) -> SlotsByTemplate:
        """Return the rows of this moment."""
        return list(self.slots.items())

    def forget(self) -> None:
        """Free the last look and the cached entry."""
        self._watched = self.summary = None

    def looking(self, *, with_totals: bool) -> Steps[Look]:
        """Return the look at the rows of the moment in which this begins.

        Where an earlier look is remembered, this reads only the templates that have changed since.
        """
        watched = self._watched
        if watched is not None and (look := watched.look) and (look.is_summed or not with_totals):
            watched.look, watched.former = self._caught_up(look, watched.former), {}
            return watched.look
        watched = self._watched = _Watched()
        slots_by_template = self.slots_by_template()
        digest = yield from self.digesting(slots_by_template)
        totals = (yield from _summing(slots_by_template)) if with_totals else Totals()
        watched.look = Look(digest, totals, with_totals)
        return watched.look

    @property
    def digest(self) -> int | None:
        """The digest of the present rows; None where no look at them is remembered."""
        watched = self._watched
        return None if watched is None or watched.look is None or watched.former else watched.look.digest

    def digesting(self, slots_by_template: SlotsByTemplate) -> Steps[int]:
        """Return the digest of rows; it is equal in every process that has read the same rows."""
        digest = 0
        for template, slots in slots_by_template:
            # A sum does not depend on the order in which the rows arrived.
            digest += self._digest(template, slots)
            yield
        return digest % _DIGESTS

    def narrowing(self) -> Steps[None]:
        """Recompute the span of activity from all rows; abandoned halfway, it leaves the span too long."""
        if self._meanwhile is not None:
            return  # another call is at it
        span = self._meanwhile = _NO_SPAN
        self._has_narrowed = is_found = False
        try:
            for _, slots in self.slots_by_template():
                for _, value in slots:
                    span = _wider(span, decode_head(value))
                yield
            is_found = True
        finally:
            seen, self._meanwhile = self._meanwhile, None
            if is_found and span != _NO_SPAN:
                self.first_ms, self.last_ms = min(span[0], seen[0]), max(span[1], seen[1])
            self._has_narrowed |= not is_found

    def _caught_up(self, look: Look, former: dict[Template | None, Slots]) -> Look:
        digest, totals = look.digest, look.totals.copy()
        for template, before in former.items():
            now = self.slots.get(template, ())
            digest += self._digest(template, now) - self._digest(template, before)
            if look.is_summed:
                _move(totals, template, before, now)
        return Look(digest % _DIGESTS, totals, look.is_summed)

    def _digest(self, template: Template | None, slots: Slots) -> int:
        """Return a template's part of the digest; 0 where it has no rows."""
        if not slots:
            return 0
        named = encode((self.tenant, self.campaign, template, slots))
        return int.from_bytes(blake2b(named, digest_size=VERSION_BYTES).digest(), "big")

    def _note(self, template: Template | None, slots: Slots) -> None:
        if (watched := self._watched) is not None:
            watched.former.setdefault(template, slots)
            if len(watched.former) > MOST_CHANGES:
                self._watched = None

    def _span(self, now: RowHead, former: RowHead | None) -> None:
        known = (self.first_ms, self.last_ms) if self.size > 1 else _NO_SPAN
        self.first_ms, self.last_ms = _wider(known, now)
        if self._meanwhile is not None:
            self._meanwhile = _wider(self._meanwhile, now)
        if former is not None and (former.first_ms < now.first_ms or former.last_ms > now.last_ms):
            # The span of a single row is exact, unless a running `narrowing` still holds the former row.
            self._has_narrowed = self.size > 1 or self._meanwhile is not None


def _wider(span: tuple[int, int], head: RowHead) -> tuple[int, int]:
    return min(span[0], head.first_ms), max(span[1], head.last_ms)


def _summing(slots_by_template: SlotsByTemplate) -> Steps[Totals]:
    totals = Totals()
    for template, slots in slots_by_template:
        for _, value in slots:
            totals.add(template, decode_packed(value))
            yield
    return totals


def _move(totals: Totals, template: Template | None, before: Slots, now: Slots) -> None:
    """Subtract the former rows from totals, and add the present ones."""
    kept = set(before) & set(now)
    for slot in before:
        if slot not in kept:
            totals.add(template, decode_packed(slot[1]), -1)
    for slot in now:
        if slot not in kept:
            totals.add(template, decode_packed(slot[1]))
