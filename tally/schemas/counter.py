"""What a counter of a row is, and the numbers that are made of counters when they are read.

A row's counts are one flat map. A plain counter is a key of it (`delivered`); a map or a
distribution has one key per entry (`errors.meta:131026`, `time_to_read.35`).
"""

from typing import Literal

from msgspec import Struct

from tally.schemas.facts import Channel
from tally.schemas.grains import CAMPAIGN, OPERATOR, TEMPLATE, Grain

Family = Literal["recipient", "message", "customer", "call", "operator", "description"]
Kind = Literal["count", "map", "seconds"]
Channels = frozenset[Channel]
CellKind = Literal["send", "operator"]
"""`send`: of campaigns and templates, by the quarter hour of the send; `operator`: of operators' rows."""

WHATSAPP: Channels = frozenset({"whatsapp"})
VOICE: Channels = frozenset({"voice"})
BOTH = WHATSAPP | VOICE
NEITHER: Channels = frozenset()
CHANNELS_OF: dict[Family, Channels] = {
    "recipient": BOTH,
    "message": WHATSAPP,
    "customer": WHATSAPP,
    "call": VOICE,
    "operator": NEITHER,
    "description": NEITHER,
}
"""What a counter of a family concerns, unless it says so itself."""

CELLS_OF: dict[Grain, CellKind] = {TEMPLATE: "send", CAMPAIGN: "send", OPERATOR: "operator"}


class Counter(Struct, frozen=True):
    """One counter of a row; `seconds` is a distribution over fixed logarithmic buckets."""

    name: str
    family: Family
    meaning: str
    kind: Kind = "count"
    grains: tuple[Grain, ...] = (TEMPLATE,)
    """At which levels rows hold it."""
    also: tuple[Family, ...] = ()
    """Other families whose states add to it."""
    only: Channels | None = None
    """The channels that it concerns, where these are others than those of its family."""
    is_live: bool = False
    """Whether it counts only as long as it lasts; then no cell has it."""

    @property
    def cells(self) -> frozenset[CellKind]:
        """Return the kinds of cells that have it, and whose sums its rows are; a live counter has none."""
        return frozenset() if self.is_live else frozenset(CELLS_OF[grain] for grain in self.grains)

    @property
    def families(self) -> tuple[Family, ...]:
        """Return the families whose states add to it."""
        return (self.family, *self.also)

    @property
    def channels(self) -> Channels:
        """Return the channels of campaigns that it concerns."""
        return CHANNELS_OF[self.family] if self.only is None else self.only

    def summed_from(self, grain: Grain) -> Grain | None:
        """Return the grain of whose rows a number at a grain is the sum; None where there is no number."""
        if grain in self.grains:
            return grain
        return grain.sums if grain.sums in self.grains else None


class Derived(Struct, frozen=True):
    """A number computed from counters when it is read, never stored."""

    name: str
    meaning: str
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()


class Rate(Struct, frozen=True):
    """numerator / denominator; null where the denominator is 0."""

    name: str
    numerator: str
    denominator: str
    meaning: str
