"""Sums of what is missing from the numbers of a tenant or a campaign, as receipts show them. Pure."""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from tally.schemas.missing import Entry, Value, decode_missing, entries_of, joined
from tally.schemas.notices import ANY_CAMPAIGN


class Lack(Struct, frozen=True):
    """What is missing, by kind: losses that are not acknowledged, and losses that are."""

    incomplete: dict[str, int] = {}
    acknowledged: dict[str, int] = {}


NOTHING = Lack()
KEPT_SUMS = 1_024
"""Bound of the cache of sums: a caller may invent any number of tenants."""


def lack_of(entries: Iterable[Entry]) -> Lack:
    """Return the sums of entries, by kind; kinds with a sum of 0 are left out."""
    incomplete, acknowledged = Counter[str](), Counter[str]()
    for entry in entries:
        acknowledged[entry.kind] += entry.acknowledged
        incomplete[entry.kind] += entry.count - entry.acknowledged
    return Lack(_positive(incomplete), _positive(acknowledged))


def _positive(counts: Counter[str]) -> dict[str, int]:
    return {kind: counts[kind] for kind in sorted(counts) if counts[kind] > 0}


class Lacks:
    """What is missing in all partitions. Entries are rare: sums are made on request."""

    def __init__(self) -> None:
        self._values: dict[tuple[int, bytes], Value] = {}
        self._sums: dict[tuple[str, str | None], Lack] = {}
        self._all: tuple[list[Entry], Lack] | None = None

    def apply(self, partition: int, key: bytes, raw: bytes) -> None:
        """Apply a changelog value; it is joined with the known one, and an older one takes nothing back."""
        value, known = decode_missing(key, raw), self._values.get((partition, key))
        self._values[partition, key] = value if known is None else joined(known, value)
        self._sums.clear()
        self._all = None

    @property
    def all(self) -> Lack:
        """What is missing in total, over all tenants."""
        return self._entries()[1]

    def of(self, tenant: str, campaign: str | None = None) -> Lack:
        """Return what may be missing from a campaign's numbers; with None, from any number of a tenant."""
        entries, _ = self._entries()
        if not entries:
            return NOTHING
        found = self._sums.get((tenant, campaign))
        if found is None:
            if len(self._sums) >= KEPT_SUMS:
                self._sums.clear()
            found = lack_of(entry for entry in entries if _concerns(entry, tenant, campaign))
            self._sums[tenant, campaign] = found
        return found

    def _entries(self) -> tuple[list[Entry], Lack]:
        if self._all is None:
            values = self._values.items()
            entries = [entry for (_, key), value in values for entry in entries_of(key, value)]
            self._all = entries, lack_of(entries)
        return self._all


def _concerns(entry: Entry, tenant: str, campaign: str | None) -> bool:
    """Return whether an entry concerns a campaign; with None, whether it concerns the tenant."""
    if entry.concerns_all:
        return True
    whose, which = entry.scope
    return whose == tenant and (campaign is None or which in (campaign, ANY_CAMPAIGN))
