"""Rows as they were at the progress of an answer, while events go on. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from tally.agents.audit.answers import Progress, Scope
from tally.agents.view.campaign import PartitionRow
from tally.schemas.grains import RowKey
from tally.schemas.rows import Row

NOTHING = Row(0, 0, 0, [], {})
"""What a row was before it was first written."""


class Versions:
    """The rows of all partitions at one moment, and every row that was written since."""

    def __init__(self, rows: Iterable[PartitionRow]) -> None:
        self._known: defaultdict[Scope, dict[tuple[int, RowKey], list[Row]]] = defaultdict(dict)
        for partition, key, row in rows:
            self._of(key)[partition, key] = [row]

    def apply(self, partition: int, key: RowKey, row: Row) -> None:
        """Apply a row that was written since, in the order of the changelog."""
        self._of(key).setdefault((partition, key), [NOTHING]).append(row)

    def scopes(self) -> list[Scope]:
        """Return what the API can be asked for: every scope whose tenant has a name."""
        return [scope for scope in self._known if scope[0]]

    def at(self, scope: Scope, progress: Progress) -> list[PartitionRow]:
        """Return the rows of a scope as they were at a progress; one that was newer from the start stays."""
        return [
            PartitionRow(partition, key, _at(versions, progress.get(partition, 0)))
            for (partition, key), versions in self._known.get(scope, {}).items()
        ]

    def _of(self, key: RowKey) -> dict[tuple[int, RowKey], list[Row]]:
        return self._known[key.tenant, key.campaign]


def _at(versions: list[Row], next_offset: int) -> Row:
    return next((row for row in reversed(versions) if row.next_offset <= next_offset), versions[0])
