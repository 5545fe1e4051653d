"""What a batch is folded with, and what it changes as far as it is folded."""

from collections.abc import Sequence
from typing import Generic

from msgspec import Struct, field

from tally.agents.fold.missing import Missing
from tally.agents.fold.steps import NO_LIMITS, TooMuchAtOnce, TransactionLimits
from tally.tables.contribution import Changes
from tally.tables.families.family import F, S
from tally.tables.rules import Rules
from tally.tables.store.interface import StateReader, Writes


class FoldContext(Struct):
    """Tables and rules of one batch, and its outcome."""

    reader: StateReader
    rules: Rules
    missing: Missing
    limits: TransactionLimits = NO_LIMITS
    changes: Changes = field(default_factory=Changes)
    writes: Writes = field(default_factory=dict)
    written_bytes: int = 0
    waiting: int = 0
    """How many more subjects wait for their send result."""
    contested: int = 0
    """How many more subjects several tenants claim."""
    refused: int = 0
    """How many more identifiers identify nobody."""

    def wrote(self, state_bytes: int) -> None:
        """Note so many bytes of states more. Raises TooMuchAtOnce."""
        self.written_bytes += state_bytes
        if self.written_bytes > self.limits.write_bytes:
            raise TooMuchAtOnce

    def writes_to(self, table: str) -> dict[bytes, bytes | None]:
        """Return what the batch writes to a table."""
        return self.writes.setdefault(table, {})


class Merged(Struct, Generic[F, S]):
    """One subject before and after a batch."""

    root: bytes
    """The key under which its state lives now."""
    befores: dict[bytes, S]
    """The states that it was, by their keys."""
    after: S
    facts: Sequence[F] = ()
