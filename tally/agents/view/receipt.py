"""Receipts: the moment that an answer describes, and what is missing from it. Pure."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from tally.agents.lag.tracker import Moment
from tally.agents.view.answer import Json, rfc_3339
from tally.agents.view.lacks import NOTHING, Lack

TAG_BYTES = 12

State = Literal["live", "catching_up", "incomplete", "incomplete_acknowledged"]


class Opening(Struct, frozen=True):
    """The progress of this process in opening the tables of a partition."""

    read: int
    """Changelog records read so far."""
    of: int
    """Changelog records to read; 0 while unknown."""
    seconds_left: int | None
    """Estimated from the rate so far; None before there is one."""


Openings = Mapping[int, Opening]


class Receipt(Struct, frozen=True):
    """The receipt that goes out with every number.

    Everything that reached the raw topics before `as_of_ms` is counted, apart from what the receipt reports
    as missing.
    """

    as_of_ms: int | None
    """None until the first moment is known to be counted."""
    lag_ms: int | None
    state: State
    generation: int
    ready: int
    partitions: int
    progress: tuple[int, ...]
    lack: Lack = NOTHING
    """What is, or may be, missing from the numbers that it goes out with."""
    opening: Openings = {}
    withheld: int = 0
    """How much Postgres has refused of numbers that were read from it."""

    def answer(self) -> Json:
        """Return the receipt as answers show it, without the fields on missing and opening that are empty."""
        shown: Json = {
            "as_of": None if self.as_of_ms is None else rfc_3339(self.as_of_ms),
            "lag_ms": self.lag_ms,
            "state": self.state,
            "generation": self.generation,
            "partitions": {"ready": self.ready, "of": self.partitions},
            "progress": {str(partition): offset for partition, offset in enumerate(self.progress)},
        }
        if self.lack.incomplete:
            shown["incomplete"] = sum(self.lack.incomplete.values())
            shown["incomplete_by"] = self.lack.incomplete
        if self.lack.acknowledged:
            shown["incomplete_acknowledged"] = sum(self.lack.acknowledged.values())
        if self.withheld:
            shown["withheld"] = self.withheld
        if self.opening:
            shown["opening"] = {
                str(partition): {"read": one.read, "of": one.of, "seconds_left": one.seconds_left}
                for partition, one in sorted(self.opening.items())
            }
        return shown


class Basis(Struct, frozen=True):
    """The values that all receipts of one moment share."""

    as_of: Moment | None
    now_s: float
    """By the monotonic clock."""
    generation: int
    live_lag_ms: int
    opening: Openings = {}


class Extent(Struct, frozen=True):
    """How far numbers are counted where they are read from: in the view, or in Postgres."""

    ready: int
    """The number of partitions that are whole there."""
    partitions: int
    progress: tuple[int, ...]
    """The next facts offset of each partition."""
    withheld: int = 0
    """How much Postgres has refused of what was asked for."""


def write_receipt(extent: Extent, basis: Basis, lack: Lack) -> Receipt:
    """Return the receipt for numbers from which `lack` is missing."""
    as_of = basis.as_of
    lag_ms = None if as_of is None else max(0, round((basis.now_s - as_of.monotonic_s) * 1000))
    is_late = extent.ready < extent.partitions or lag_ms is None or lag_ms > basis.live_lag_ms
    state = "incomplete" if extent.withheld else _state(lack)
    return Receipt(
        as_of_ms=None if as_of is None else as_of.unix_ms,
        lag_ms=lag_ms,
        state="catching_up" if is_late else state,
        generation=basis.generation,
        ready=extent.ready,
        partitions=extent.partitions,
        progress=extent.progress,
        lack=lack,
        opening=basis.opening,
        withheld=extent.withheld,
    )


def _state(lack: Lack) -> State:
    """Return the state of numbers that are not late; losses that are not acknowledged take precedence."""
    if lack.incomplete:
        return "incomplete"
    return "incomplete_acknowledged" if lack.acknowledged else "live"


def entity_tag(receipt: Receipt, versions: Iterable[bytes], *more: object) -> str:
    """Return the ETag of an answer: equal in all workers whose rows, generation, state and lack are equal."""
    digest = blake2b(repr((receipt.generation, receipt.state, receipt.lack, more)).encode())
    for version in versions:
        digest.update(version)
    return digest.hexdigest()[: 2 * TAG_BYTES]
