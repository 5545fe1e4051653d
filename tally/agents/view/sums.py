"""Sums over rows: the totals of a campaign and of its templates. Pure."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from tally.agents.view.packed_rows import PackedRow, named
from tally.schemas.counters import BY_NAME
from tally.schemas.grains import CAMPAIGN, TEMPLATE, Grain
from tally.schemas.keys import Template
from tally.schemas.rows import LABELS, Row

Counts = dict[str, int]
_Numbered = dict[int | str, int]
"""Sums of packed rows, by number where a counter has one."""

KEPT_NAMES = 1 << 16
"""Bound of the cache of split keys: counters, listed entries, buckets, and queues of campaigns."""


class Flat(NamedTuple):
    """A key of a row's counts, split into its parts."""

    name: str
    entry: str
    summed_from: Grain
    """The grain whose rows a campaign's number sums: the rows of its templates, or its own row `*`."""


@lru_cache(KEPT_NAMES)
def flat(key: str) -> Flat:
    """Split a key of counts."""
    name, _, entry = key.partition(".")
    counter = BY_NAME.get(name)
    return Flat(name, entry, (counter and counter.summed_from(CAMPAIGN)) or CAMPAIGN)


class Totals(Struct):
    """The sums of all rows of a campaign, and the channels that they name."""

    of_templates: _Numbered = {}
    own: _Numbered = {}
    """The counts of row `*`."""
    channels: dict[str, int] = {}
    """The number of rows that name each channel."""

    def add(self, template: Template | None, row: Row | PackedRow, times: int = 1) -> None:
        """Add a row; with `times` -1, subtract it."""
        counts = self.own if template is None else self.of_templates
        known = counts.get
        for key, value in row.counts.items():
            counts[key] = known(key, 0) + times * value
        for channel in row.channels:
            self.channels[channel] = self.channels.get(channel, 0) + times

    @property
    def counts(self) -> Counts:
        """The campaign's numbers: each counter summed over all templates, or taken from row `*`."""
        totals: Counts = {}
        _add(totals, named(self.of_templates), TEMPLATE)
        _add(totals, named(self.own), CAMPAIGN)
        return totals

    def copy(self) -> "Totals":
        """Return a copy that may be changed."""
        return Totals(dict(self.of_templates), dict(self.own), dict(self.channels))


class Sums:
    """The sums of each chosen template, of all others together, and of row `*`."""

    def __init__(self, chosen: Iterable[Template]) -> None:
        self._by_template: dict[Template, _Numbered] = {template: {} for template in chosen}
        self._labels: dict[Template, set[str]] = {}
        self._others: _Numbered = {}
        self._own: _Numbered = {}
        self.channels: set[str] = set()

    def add(self, template: Template | None, rows: Iterable[Row | PackedRow]) -> None:
        """Add rows of a template; with None, the campaign's own."""
        counts = self._own if template is None else self._by_template.get(template, self._others)
        known, channels = counts.get, self.channels
        for row in rows:
            for key, value in row.counts.items():
                counts[key] = known(key, 0) + value
            for channel in row.channels:
                if channel not in channels:
                    channels.add(channel)
            if row.labels and template is not None and counts is not self._others:
                self._labels.setdefault(template, set()).update(row.labels)

    def labels_of(self, template: Template) -> list[str]:
        """Return a template's ids from all partitions: the smallest, as many as one row keeps."""
        return sorted(self._labels.get(template, ()))[:LABELS]

    def counts_of(self, template: Template) -> Counts:
        """Return the sums of a chosen template."""
        return named(self._by_template[template])

    def of_others(self) -> Counts:
        """Return the sums of the templates that were not chosen."""
        return named(self._others)

    def totals(self) -> Counts:
        """Return the campaign's numbers: each counter summed over all templates, or taken from row `*`."""
        totals: Counts = {}
        for counts in (*self._by_template.values(), self._others):
            _add(totals, named(counts), TEMPLATE)
        _add(totals, named(self._own), CAMPAIGN)
        return totals


def adding_up(counts: Mapping[str, int]) -> Counts:
    """Return the counts that may be added over templates."""
    return {key: value for key, value in counts.items() if flat(key).summed_from is TEMPLATE}


def _add(totals: Counts, more: Mapping[str, int], rows_of: Grain) -> None:
    known = totals.get
    for key, value in more.items():
        if flat(key).summed_from is rows_of:
            totals[key] = known(key, 0) + value
