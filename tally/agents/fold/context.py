"""The inputs of one batch and the changes that it has made so far."""

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
    """Tables and rules of one batch, and its changes."""

    reader: StateReader
    rules: Rules
    missing: Missing
    limits: TransactionLimits = NO_LIMITS
    changes: Changes = field(default_factory=Changes)
    writes: Writes = field(default_factory=dict)
    written_bytes: int = 0
    waiting: int = 0
    """Change in the number of subjects that wait for their send result."""
    contested: int = 0
    """Change in the number of subjects that several tenants claim."""
    refused: int = 0
    """Change in the number of identifiers that identify no customer."""

    def wrote(self, state_bytes: int) -> None:
        """Add to the bytes of states written. Raises TooMuchAtOnce beyond the limit."""
        self.written_bytes += state_bytes
        if self.written_bytes > self.limits.write_bytes:
            raise TooMuchAtOnce

    def writes_to(self, table: str) -> dict[bytes, bytes | None]:
        """Return the entries that the batch writes to a table, to be added to."""
        return self.writes.setdefault(table, {})


class Merged(Struct, Generic[F, S]):
    """One subject before and after a batch."""

    root: bytes
    """The present key of its state."""
    befores: dict[bytes, S]
    """Its former states, by their keys; several where subjects were united."""
    after: S
    facts: Sequence[F] = ()
