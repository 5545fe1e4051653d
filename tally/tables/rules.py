"""The settings that contributions depend on; a change of them recounts a partition."""

from hashlib import blake2b

from msgspec import Struct

from tally.schemas import bounded
from tally.schemas.counters import COUNTERS

DEFINITIONS = 4
"""Raised whenever a contribution comes to mean something else for the same state."""


class Rules(Struct, frozen=True):
    """What turns states into counters, beside the states themselves."""

    reply_window_seconds: int = 7 * 86_400
    operator_scripts: tuple[str, ...] = ()
    """Voice scripts whose answered calls are all meant for an operator."""

    @property
    def fingerprint(self) -> str:
        """Name these rules: settings, bounded keys, counters and the definitions' own version."""
        parts = (
            DEFINITIONS,
            self.reply_window_seconds,
            sorted(self.operator_scripts),
            sorted(bounded.HANGUP_CAUSES),
            sorted((source, sorted(codes)) for source, codes in bounded.ERROR_CODES.items()),
            sorted(bounded.PRICING_CATEGORIES),
            sorted(bounded.PRICING_TYPES),
            [(counter.name, counter.kind) for counter in COUNTERS],
        )
        return blake2b(repr(parts).encode(), digest_size=8).hexdigest()
