"""The settings that contributions depend on; a partition recounts its rows when they change."""

from hashlib import blake2b

from msgspec import Struct

from tally.schemas import bounded
from tally.schemas.counters import COUNTERS

DEFINITIONS = 6
"""The version of the counting code; raise it whenever the same state comes to contribute something else."""


class Rules(Struct, frozen=True):
    """The settings that turn states into counters."""

    reply_window_seconds: int = 7 * 86_400
    operator_scripts: tuple[str, ...] = ()
    """Voice scripts whose answered calls are all meant for an operator."""
    unknown_is_human: bool = False
    """Whether answered calls without a verdict of machine detection count as answered by a person."""

    @property
    def fingerprint(self) -> str:
        """A hash of the settings, the bounded keys, the counters and DEFINITIONS."""
        parts = (
            DEFINITIONS,
            self.reply_window_seconds,
            sorted(self.operator_scripts),
            self.unknown_is_human,
            sorted(bounded.HANGUP_CAUSES),
            sorted((source, sorted(codes)) for source, codes in bounded.ERROR_CODES.items()),
            sorted(bounded.PRICING_CATEGORIES),
            sorted(bounded.PRICING_TYPES),
            [(counter.name, counter.kind) for counter in COUNTERS],
        )
        return blake2b(repr(parts).encode(), digest_size=8).hexdigest()
