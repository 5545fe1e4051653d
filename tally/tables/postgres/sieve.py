"""All kinds of things that the sink writes, and which of them a key of a log is. Pure."""

from collections.abc import Mapping, Sequence

from tally.schemas.topics import Changelog
from tally.tables.postgres.cell_kinds import ACTIVITY, CELLS
from tally.tables.postgres.kind import Kind
from tally.tables.postgres.line_kind import NO_LINES
from tally.tables.postgres.row_kind import ROWS

KINDS: tuple[Kind, ...] = (ROWS, CELLS, ACTIVITY)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in (*KINDS, NO_LINES)}
"""What a writer without a ledger writes, or removes."""


class Sieve:
    """Tells the kind of each key, and which logs hold any."""

    def __init__(self, kinds: Sequence[Kind] = KINDS) -> None:
        self._kinds = kinds

    def kind_of(self, log: Changelog, key: bytes) -> str | None:
        """Return the name of the kind that a key belongs to; None where it is not written."""
        for kind in self._kinds:
            if kind.log == log and kind.holds(key):
                return kind.name
        return None

    @property
    def is_derived(self) -> bool:
        """Whether anything depends on the rules."""
        return any(kind.is_derived for kind in self._kinds)

    @property
    def logs(self) -> frozenset[Changelog]:
        """The logs of which anything is written."""
        return frozenset(kind.log for kind in self._kinds)
