"""Receipts: what moment an answer speaks of, and whether it is whole. Pure."""

from typing import Literal

from msgspec import Struct

from tally.agents.lag.tracker import Moment
from tally.agents.view.answer import Json, rfc_3339
from tally.agents.view.model import View

State = Literal["live", "catching_up"]


class Receipt(Struct, frozen=True):
    """Goes out with every number. Everything that reached the raw topics before `as_of_ms` is counted."""

    as_of_ms: int | None
    """None until a first moment is known to be counted."""
    lag_ms: int | None
    state: State
    generation: int
    ready: int
    partitions: int
    progress: tuple[int, ...]
    incomplete: int
    """Facts that were set aside: the numbers of their subjects are too low."""

    def answer(self) -> Json:
        """Return the receipt as answers show it; `incomplete` only where something is."""
        shown: Json = {
            "as_of": None if self.as_of_ms is None else rfc_3339(self.as_of_ms),
            "lag_ms": self.lag_ms,
            "state": self.state,
            "generation": self.generation,
            "partitions": {"ready": self.ready, "of": self.partitions},
            "progress": {str(partition): offset for partition, offset in enumerate(self.progress)},
        }
        return shown | {"incomplete": self.incomplete} if self.incomplete else shown


def write_receipt(
    view: View, generation: int, as_of: Moment | None, now_s: float, live_lag_ms: int
) -> Receipt:
    """Return the receipt of what a view holds at the monotonic time `now_s`."""
    lag_ms = None if as_of is None else max(0, round((now_s - as_of.monotonic_s) * 1000))
    whole = view.ready_partitions == view.partitions
    known = [view.progress(partition) for partition in range(view.partitions)]
    return Receipt(
        as_of_ms=None if as_of is None else as_of.unix_ms,
        lag_ms=lag_ms,
        state="live" if whole and lag_ms is not None and lag_ms <= live_lag_ms else "catching_up",
        generation=generation,
        ready=view.ready_partitions,
        partitions=view.partitions,
        progress=tuple(0 if progress is None else progress.next_offset for progress in known),
        incomplete=sum(progress.set_aside for progress in known if progress is not None),
    )
