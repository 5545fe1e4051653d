"""The laws of cells over a partition's tables: rows are their sums, campaigns those of activity. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Protocol

from tally.agents.audit.drift import Drift, drift
from tally.schemas.cells import ActivityCell, Cell, decode_counts, decode_minutes, in_quarter
from tally.schemas.counters import ACTIVITY as NUMBERS
from tally.schemas.counters import BY_NAME, counters_of
from tally.schemas.grains import CAMPAIGN, OPERATOR, RowKey
from tally.schemas.tables import ACTIVITY, CELLS

Counts = Mapping[str, int]


class Tables(Protocol):
    """The tables of a partition."""

    def items(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the entries of a table."""


def broken_laws(tables: Tables, partition: int, rows: Mapping[bytes, Counts]) -> Iterator[Drift]:
    """Yield every counter of a row, or number of a campaign, that its cells do not sum up to."""
    celled = {key: _celled(counts) for key, counts in rows.items()}
    yield from drift("cells", partition, celled, _sums(tables))
    yield from drift("cells", partition, _campaigns(rows), _happened(tables))


def _celled(counts: Counts) -> dict[str, int]:
    return {
        name: value
        for name, value in counts.items()
        if (counter := BY_NAME.get(name.partition(".")[0])) and not counter.is_live
    }


def _sums(tables: Tables) -> dict[bytes, Counts]:
    sums: defaultdict[bytes, Counter[str]] = defaultdict(Counter)
    for key, value in tables.items(CELLS):
        sums[Cell.decode(key).row.encode()].update(decode_counts(value))
    return dict(sums)


def _happened(tables: Tables) -> dict[bytes, Counts]:
    happened: defaultdict[bytes, Counter[str]] = defaultdict(Counter)
    for key, value in tables.items(ACTIVITY):
        cell = ActivityCell.decode(key)
        happened[RowKey(cell.tenant, cell.campaign, None).encode()].update(in_quarter(decode_minutes(value)))
    return dict(happened)


def _campaigns(rows: Mapping[bytes, Counts]) -> dict[bytes, Counts]:
    """Return the numbers of campaigns that activity has, each by the rows that it is the sum of."""
    found: defaultdict[bytes, Counter[str]] = defaultdict(Counter)
    for key, counts in rows.items():
        row = RowKey.decode(key)
        if row.grain is OPERATOR:
            continue
        campaign = found[RowKey(row.tenant, row.campaign, None).encode()]
        for name in NUMBERS:
            for counter in counters_of(name):
                if counter.summed_from(CAMPAIGN) is row.grain and counter.name in counts:
                    campaign[name] += counts[counter.name]
    return dict(found)
